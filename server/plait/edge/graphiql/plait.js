"use strict";
// Starts GraphiQL with the page's settings, and shows what the last request was and took.
(function () {
  const config = JSON.parse(document.getElementById("plait-config").textContent);
  const e = React.createElement;

  const isFirstVisit = !localStorage.getItem("graphiql:tabState");
  const first = (isFirstVisit && config.examples[0]) || {};

  let showLast = function () {};

  async function fetcher(params, options) {
    const headers = Object.assign(
      { "content-type": "application/json", accept: "application/json" },
      (options && options.headers) || {},
    );
    const start = performance.now();
    const response = await fetch(config.endpoint, { method: "POST", headers, body: JSON.stringify(params) });
    const answer = await response.json();
    if (params.operationName !== "IntrospectionQuery") {
      showLast({
        status: response.status,
        ms: Math.round(performance.now() - start),
        id: response.headers.get("x-request-id") || "",
      });
    }
    return answer;
  }

  function strand(d, colour) {
    return e("path", { d, stroke: colour, fill: "none", strokeWidth: 3, strokeLinecap: "round" });
  }

  function Last() {
    const [last, set] = React.useState(null);
    showLast = set;
    const text = last
      ? "HTTP " + last.status + " · " + last.ms + " ms · request " + last.id
      : "Run a query with Ctrl-Enter";
    return e("div", { className: "plait-last", id: "plait-last" }, text);
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

  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    e(
      GraphiQL,
      {
        fetcher,
        // On a first visit the open tab takes its variables from here, not from its entry in the list.
        variables: first.variables,
        headers: first.headers,
        defaultTabs: config.examples.length ? config.examples : undefined,
        defaultEditorToolsVisibility: "variables",
        isHeadersEditorEnabled: true,
        shouldPersistHeaders: false,
      },
      logo,
      e(GraphiQL.Footer, null, e(Last)),
    ),
  );
})();
