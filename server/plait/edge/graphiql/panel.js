"use strict";
// What the last request asked of backends, as a waterfall; and what one would ask, before it runs.
window.PlaitPanel = (function () {
  const e = React.createElement;
  let update = function () {};

  // --- what is shown: a plan, a run, or why there is neither

  /** Takes plan and run out of an answer, and shows them. */
  function take(answer) {
    const plait = answer && answer.extensions && answer.extensions.plait;
    if (!plait || !plait.plan) return;
    const shown = { plan: plait.plan, run: plait.run || null, errors: answer.errors || [] };
    delete plait.plan;
    delete plait.run;
    if (!Object.keys(plait).length) delete answer.extensions.plait;
    if (!Object.keys(answer.extensions).length) delete answer.extensions;
    update(shown);
  }

  function fail(words) {
    update({ words });
  }

  // --- the panel

  function Panel() {
    const [shown, set] = React.useState(null);
    const [isOpen, open] = React.useState(false);
    const [focus, aim] = React.useState(null);
    update = (next) => {
      set(next);
      aim(null);
      if (next.words || !next.run) open(true);
    };
    if (!shown) return null;
    const body = shown.words
      ? e("p", { className: "plait-note", role: "alert" }, shown.words)
      : shown.run
        ? e(Run, { shown, focus, aim })
        : e(Planned, { plan: shown.plan });
    return e(
      "section",
      { className: "plait-panel", "aria-label": "Calls to backends" },
      e(
        "button",
        {
          type: "button",
          id: "plait-panel-toggle",
          className: "plait-toggle",
          "aria-expanded": isOpen,
          "aria-controls": "plait-panel-body",
          onClick: () => open(!isOpen),
        },
        e("span", { className: "plait-chevron", "aria-hidden": true }, isOpen ? "▾" : "▸"),
        headline(shown),
      ),
      isOpen && e("div", { id: "plait-panel-body", className: "plait-panel-body" }, body),
    );
  }

  function headline(shown) {
    if (shown.words) return "No plan";
    if (!shown.run) {
      const about = shown.plan.is_exact ? "" : "about ";
      return "Plan: " + counted(shown.plan.waves, "wave") + ", " + about + counted(shown.plan.calls, "call");
    }
    const calls = shown.run.fetches.reduce((sum, one) => sum + one.calls.length, 0);
    return "Calls: " + counted(shown.run.waves, "wave") + ", " + counted(calls, "call") + ", " + ms(shown.run.ms);
  }

  // --- how it went

  function Run({ shown, focus, aim }) {
    const { run, plan, errors } = shown;
    const early = new Set(plan.steps.filter((one) => one.early).map(placeOf));
    if (!run.fetches.length) return e("p", { className: "plait-note" }, "No backend was asked.");
    return e(
      React.Fragment,
      null,
      errors.length > 0 &&
        e(
          "ul",
          { className: "plait-errors", "aria-label": "Errors" },
          errors.map((error, at) => e(ErrorLine, { key: at, error, fetches: run.fetches, aim })),
        ),
      e(
        "ol",
        { className: "plait-rows" },
        run.fetches.map((one, at) =>
          e(Bar, {
            key: at,
            at,
            one,
            total: run.ms,
            isEarly: early.has(placeOf(one)),
            isAimed: focus !== null && focus.at === at ? focus : null,
          }),
        ),
      ),
      e("p", { className: "plait-scale", "aria-hidden": true }, e("span", null, "0"), e("span", null, ms(run.ms))),
    );
  }

  function ErrorLine({ error, fetches, aim }) {
    const path = (error.path || []).join(".") || "the operation";
    const told = error.extensions || {};
    // The call that failed; else, as where a row is missing, the one that should have brought it.
    const fits = (one) => one.backend === told.backend && one.endpoint === told.endpoint;
    const failed = fetches.findIndex((one) => fits(one) && one.failed > 0);
    const at = failed >= 0 ? failed : fetches.findIndex(fits);
    const words = path + ": " + error.message;
    if (at < 0) return e("li", null, words);
    return e(
      "li",
      null,
      e("button", { type: "button", onClick: () => aim({ at }) }, words, e("span", { className: "plait-go" }, " show its call")),
    );
  }

  function Bar({ at, one, total, isEarly, isAimed }) {
    const [isOpen, open] = React.useState(false);
    const row = React.useRef(null);
    React.useEffect(() => {
      if (!isAimed) return;
      open(true);
      row.current.focus();
      row.current.scrollIntoView({ block: "nearest" });
    }, [isAimed]);
    const state = one.failed ? "failed" : one.unfinished ? "unfinished" : one.cached === one.count ? "cached" : "ok";
    const left = (100 * one.start_ms) / total;
    const width = Math.max(0.5, (100 * (one.end_ms - one.start_ms)) / total);
    const took = ms(one.end_ms - one.start_ms);
    const marks = [
      isEarly && "early",
      one.cached > 0 && (one.cached === one.count ? "cached" : one.cached + " cached"),
      one.joined > 0 && "shared",
      one.failed > 0 && counted(one.failed, "key") + " failed",
      one.unfinished && "not waited for",
    ].filter(Boolean);
    return e(
      "li",
      { className: "plait-row" },
      e(
        "button",
        {
          type: "button",
          ref: row,
          className: "plait-bar",
          "aria-expanded": isOpen,
          "aria-controls": "plait-details-" + at,
          onClick: () => open(!isOpen),
        },
        e(
          "span",
          { className: "plait-name" },
          e("span", { className: "plait-wave", title: "wave " + one.wave }, one.wave),
          e("b", null, one.backend),
          " " + one.endpoint,
        ),
        e(
          "span",
          { className: "plait-track" },
          e("span", {
            className: "plait-fill plait-" + state,
            style: { left: left + "%", width: Math.min(width, 100 - left) + "%" },
          }),
        ),
        e("span", { className: "plait-took" }, took),
        marks.length > 0 && e("span", { className: "plait-marks" }, marks.map((mark) => e("span", { key: mark }, mark))),
      ),
      isOpen && e(Details, { at, one, isEarly }),
    );
  }

  function Details({ at, one, isEarly }) {
    const more = one.count - one.keys.length;
    return e(
      "dl",
      { id: "plait-details-" + at, className: "plait-details" },
      e("dt", null, counted(one.count, "key")),
      e("dd", null, one.keys.join(", ") + (more > 0 ? " and " + more + " more" : "")),
      e("dt", null, "wave"),
      e("dd", null, one.wave + (isEarly ? ", early: its key is known before its row is there" : "")),
      e("dt", null, "cache"),
      e("dd", null, one.cached ? one.cached + " of " + one.count + " were there" : "not in it"),
      one.joined > 0 && e("dt", null, "shared"),
      one.joined > 0 && e("dd", null, counted(one.joined, "key") + " came with another request's call"),
      one.calls.map((call, index) =>
        e(
          React.Fragment,
          { key: index },
          e("dt", null, "call"),
          e(
            "dd",
            { className: call.error ? "plait-wrong" : "" },
            [
              call.call,
              counted(call.keys, "key"),
              call.status ? "HTTP " + call.status : "no answer",
              call.error,
              call.attempts > 1 && call.attempts + " attempts",
              ms(call.end_ms - call.start_ms),
            ]
              .filter(Boolean)
              .join(" · "),
          ),
        ),
      ),
    );
  }

  // --- what would be asked

  function Planned({ plan }) {
    const waves = [];
    for (let wave = 1; wave <= plan.waves; wave++) waves.push(plan.steps.filter((one) => one.wave === wave));
    return e(
      React.Fragment,
      null,
      plan.p50_ms !== null && e("p", { className: "plait-note" }, "About " + ms(plan.p50_ms) + ", by how long calls took lately."),
      waves.map((steps, at) =>
        e(
          "div",
          { key: at, className: "plait-planned" },
          e("h3", null, "Wave " + (at + 1)),
          e(
            "ul",
            null,
            at === 0 && plan.resolvers.map((path) => e("li", { key: path }, e("b", null, path), " its author's code")),
            steps.map((one) => e(PlannedStep, { key: one.path, one, isLongest: plan.longest.includes(one.path) && plan.waves > 1 })),
          ),
        ),
      ),
      !plan.steps.length && e("p", { className: "plait-note" }, "No backend would be asked, as far as can be known."),
      !plan.is_exact && plan.steps.length > 0 && e("p", { className: "plait-note" }, "Lists are taken to have " + plan.rows_assumed + " rows."),
      plan.unplanned.map((one, at) =>
        e("p", { key: at, className: "plait-note" }, "Not planned: " + (one.path || "the operation") + ", " + one.why + "."),
      ),
    );
  }

  function PlannedStep({ one, isLongest }) {
    const about = one.is_exact ? "" : "about ";
    return e(
      "li",
      null,
      e("b", null, one.path),
      " " + one.backend + " " + one.endpoint + ", " + about + counted(one.calls, "call"),
      one.p50_ms !== null && ", " + ms(one.p50_ms),
      one.guarded && e("span", { className: "plait-tag" }, "asks permission"),
      one.early && e("span", { className: "plait-tag" }, "early"),
      isLongest && e("span", { className: "plait-tag" }, "longest way"),
      one.when && e("span", { className: "plait-tag" }, "when " + one.when),
      one.why && e("small", null, "after " + one.waits_for + ": " + one.why),
    );
  }

  // --- words

  function placeOf(one) {
    return one.backend + " " + one.endpoint;
  }

  function counted(count, noun) {
    return count + " " + noun + (count === 1 ? "" : "s");
  }

  function ms(value) {
    return value < 10 ? value.toFixed(1) + " ms" : Math.round(value) + " ms";
  }

  return { Panel, take, fail };
})();
