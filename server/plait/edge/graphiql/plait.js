"use strict";
// Starts GraphiQL with the page's settings, and says what the last request was and took.
(function () {
  const config = JSON.parse(document.getElementById("plait-config").textContent);
  const e = React.createElement;
  const TIMEOUT_MS = 120000;
  const TABS = "graphiql:tabState";
  const HEADERS = "graphiql:headers";

  // --- where tabs are kept: headers may hold credentials, so they end with the browser's session

  const exampleHeaders = new Map(config.examples.map((one) => [one.query.trim(), one.headers]));

  function mapTabs(text, change) {
    try {
      const state = JSON.parse(text);
      state.tabs = state.tabs.map(change);
      return JSON.stringify(state);
    } catch (_) {
      return text;
    }
  }

  // Tabs, history and favourites all carry the headers they were run with.
  function withoutHeaders(text) {
    if (!text.startsWith("{")) return text;
    try {
      return JSON.stringify(JSON.parse(text), (name, value) => (name === "headers" ? null : value));
    } catch (_) {
      return text;
    }
  }

  function openTab() {
    try {
      const state = JSON.parse(storage.getItem(TABS));
      return state.tabs[state.activeTabIndex] || {};
    } catch (_) {
      return {};
    }
  }

  const storage = {
    get length() {
      return localStorage.length;
    },
    getItem(key) {
      // GraphiQL forgets this one when it starts, and then takes the open tab for another.
      if (key === HEADERS) return openTab().headers || null;
      const kept = sessionStorage.getItem(key);
      if (kept !== null) return kept;
      const text = localStorage.getItem(key);
      if (key !== TABS || text === null) return text;
      return mapTabs(text, (tab) =>
        Object.assign({}, tab, { headers: exampleHeaders.get((tab.query || "").trim()) || null }),
      );
    },
    setItem(key, text) {
      if (key === HEADERS) return;
      sessionStorage.setItem(key, text);
      localStorage.setItem(key, withoutHeaders(text));
    },
    removeItem(key) {
      sessionStorage.removeItem(key);
      localStorage.removeItem(key);
    },
    clear() {
      sessionStorage.clear();
      localStorage.clear();
    },
  };

  // --- a shared link opens as a tab of its own

  function sharedTab() {
    const found = new URLSearchParams(location.search);
    if (!found.has("query")) return null;
    return { query: found.get("query"), variables: found.get("variables") || "", headers: "" };
  }

  function link() {
    const shared = new URL(location.origin + location.pathname);
    shared.searchParams.set("query", valueOf(".graphiql-query-editor"));
    const variables = valueOf(".graphiql-editor-tool .graphiql-editor:not(.hidden)");
    if (variables.trim() && variables.trim() !== "{}" && isShown("Variables")) {
      shared.searchParams.set("variables", variables);
    }
    return shared.toString();
  }

  function valueOf(place) {
    const editor = document.querySelector(place + " .CodeMirror");
    return editor ? editor.CodeMirror.getValue() : "";
  }

  function isShown(tool) {
    const tab = document.querySelector(".graphiql-editor-tools .active");
    return tab !== null && tab.textContent.trim() === tool;
  }

  // --- one request, which Stop aborts

  let showLast = function () {};
  let lastOperation = null;

  function fetcher(params, options) {
    const controller = new AbortController();
    return {
      subscribe(observer) {
        ask(params, options, controller).then(
          (answer) => {
            if (controller.signal.aborted && answer === null) return;
            observer.next(answer);
            observer.complete();
          },
          (error) => observer.error(error),
        );
        return { unsubscribe: () => controller.abort("stopped") };
      },
    };
  }

  async function ask(params, options, controller) {
    const isQuery = params.operationName !== "IntrospectionQuery";
    lastOperation = params.operationName;
    const headers = Object.assign(
      {
        "content-type": "application/json",
        accept: "application/json",
        "x-plait-warnings": "true",
        "x-plait-explain": "run",
      },
      (options && options.headers) || {},
    );
    const timer = setTimeout(() => controller.abort("timeout"), TIMEOUT_MS);
    const start = performance.now();
    let response;
    try {
      response = await fetch(config.endpoint, {
        method: "POST",
        headers,
        body: JSON.stringify(params),
        signal: controller.signal,
      });
      const text = await response.text();
      const answer = read(response, text);
      if (isQuery) {
        PlaitPanel.take(answer);
        showLast(summary(response, answer, performance.now() - start));
      }
      return answer;
    } catch (error) {
      if (controller.signal.aborted && controller.signal.reason === "stopped") {
        if (isQuery) showLast("Stopped. What the request had begun to write may have been written.");
        return null;
      }
      const words = controller.signal.aborted
        ? "There was no answer within " + TIMEOUT_MS / 1000 + " s. A mutation may have been carried out."
        : "The gateway cannot be reached: it has stopped, or the network is down.";
      if (isQuery) showLast(words);
      return { errors: [{ message: words }] };
    } finally {
      clearTimeout(timer);
    }
  }

  function read(response, text) {
    try {
      return JSON.parse(text);
    } catch (_) {
      const from = response.status >= 500 ? "Something between here and the gateway answered" : "The answer is no JSON";
      return { errors: [{ message: from + ", with HTTP " + response.status + " " + response.statusText + "." }] };
    }
  }

  function summary(response, answer, ms) {
    const timing = response.headers.get("server-timing") || "";
    const calls = /calls;desc="?(\d+)"?/.exec(timing);
    const errors = (answer.errors || []).length;
    const id = response.headers.get("x-request-id");
    return [
      "HTTP " + response.status,
      Math.round(ms) + " ms",
      calls && calls[1] + (calls[1] === "1" ? " call to a backend" : " calls to backends"),
      errors && errors + (errors === 1 ? " error" : " errors"),
      response.headers.get("idempotent-replayed") && "replayed: nothing was written again",
      id && "request " + id,
    ]
      .filter(Boolean)
      .join(" · ");
  }

  // --- the page

  function strand(d, colour) {
    return e("path", { d, stroke: colour, fill: "none", strokeWidth: 3, strokeLinecap: "round" });
  }

  function Last() {
    const [last, set] = React.useState("Run a query with Ctrl-Enter");
    showLast = set;
    return e("div", { className: "plait-last", id: "plait-last", role: "status" }, last);
  }

  // Asks for the plan of what stands in the editors; nothing is executed.
  async function explain() {
    let variables, headers;
    try {
      variables = JSON.parse(toolValue(0).trim() || "{}");
      headers = JSON.parse(toolValue(1).trim() || "{}");
    } catch (error) {
      return PlaitPanel.fail("Variables and headers must be JSON: " + error.message);
    }
    const query = valueOf(".graphiql-query-editor");
    const isOne = (query.match(/^\s*(query|mutation|subscription)\b/gm) || []).length < 2;
    try {
      const response = await fetch(config.endpoint, {
        method: "POST",
        headers: Object.assign(
          { "content-type": "application/json", accept: "application/json", "x-plait-explain": "plan" },
          headers,
        ),
        body: JSON.stringify({ query, variables, operationName: isOne ? undefined : lastOperation }),
      });
      const answer = read(response, await response.text());
      if (answer.errors) return PlaitPanel.fail(answer.errors.map((one) => one.message).join(" "));
      PlaitPanel.take(answer);
    } catch (_) {
      PlaitPanel.fail("The gateway cannot be reached: it has stopped, or the network is down.");
    }
  }

  function toolValue(place) {
    const editor = document.querySelectorAll(".graphiql-editor-tool .CodeMirror")[place];
    return editor ? editor.CodeMirror.getValue() : "";
  }

  function Explain() {
    return e(
      "button",
      {
        type: "button",
        className: "graphiql-un-styled graphiql-toolbar-button",
        id: "plait-explain",
        "aria-label": "Explain: which calls this query would make",
        title: "Explain: which calls this query would make",
        onClick: explain,
      },
      e(
        "svg",
        { viewBox: "0 0 24 24", className: "graphiql-toolbar-icon", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round", "aria-hidden": true },
        e("path", { d: "M4 5h9M8 12h9M13 19h7" }),
      ),
    );
  }

  function Share() {
    const [told, tell] = React.useState("Copy a link to this query");
    async function share() {
      const address = link();
      try {
        await navigator.clipboard.writeText(address);
        tell("Copied");
      } catch (_) {
        history.replaceState(null, "", address);
        tell("The link is in the address bar");
      }
      setTimeout(() => tell("Copy a link to this query"), 3000);
    }
    return e(
      "button",
      {
        type: "button",
        className: "graphiql-un-styled graphiql-toolbar-button",
        id: "plait-share",
        "aria-label": told,
        title: told,
        onClick: share,
      },
      e(
        "svg",
        { viewBox: "0 0 24 24", className: "graphiql-toolbar-icon", fill: "none", stroke: "currentColor", strokeWidth: 2, "aria-hidden": true },
        e("path", { d: "M10 14a5 5 0 0 0 7 0l3-3a5 5 0 0 0-7-7l-1 1" }),
        e("path", { d: "M14 10a5 5 0 0 0-7 0l-3 3a5 5 0 0 0 7 7l1-1" }),
      ),
    );
  }

  const logo = e(
    GraphiQL.Logo,
    null,
    e(
      "span",
      { className: "plait-logo" },
      e(
        "svg",
        { viewBox: "0 0 24 24", "aria-hidden": true },
        strand("M5 2c0 8 14 12 14 20", "#d63384"),
        strand("M19 2c0 8-14 12-14 20", "#0d9488"),
        strand("M12 2v20", "#6d5ae6"),
      ),
      config.title,
    ),
  );

  const toolbar = e(GraphiQL.Toolbar, null, ({ prettify, merge, copy }) =>
    e(React.Fragment, null, e(Explain), prettify, merge, copy, e(Share)),
  );

  // The editors take Tab for indenting, and a keyboard would never get out of them again.
  new MutationObserver(() => {
    for (const node of document.querySelectorAll(".CodeMirror:not([data-plait])")) {
      node.dataset.plait = "";
      if (node.CodeMirror) node.CodeMirror.addKeyMap({ Tab: false, "Shift-Tab": false });
    }
  }).observe(document.getElementById("graphiql"), { childList: true, subtree: true });

  // The editors know Ctrl-Enter; so does the page, where nobody has clicked into one yet.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
    if (event.target.closest(".CodeMirror, [role=dialog]")) return;
    event.preventDefault();
    document.querySelector(".graphiql-execute-button").click();
  });

  const shared = sharedTab();
  const isFirstVisit = storage.getItem(TABS) === null;
  const first = shared || (isFirstVisit && config.examples[0]) || {};

  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    e(
      GraphiQL,
      {
        fetcher,
        storage,
        // A shared link, or on a first visit the first example: the open tab takes its variables
        // and headers from here, not from its entry in the list.
        query: shared ? shared.query : undefined,
        variables: first.variables,
        headers: first.headers,
        defaultTabs: config.examples.length ? config.examples : undefined,
        defaultEditorToolsVisibility: "variables",
        isHeadersEditorEnabled: true,
        shouldPersistHeaders: true,
      },
      logo,
      toolbar,
      e(GraphiQL.Footer, null, e(Last), e(PlaitPanel.Panel)),
    ),
  );
})();
