"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  all(".scripted").forEach((one) => { one.hidden = false; });

  // Sorting: a button in each head.
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim().split("\n")[0];
    const factor = /^([÷×])([\d.,]+)/.exec(text);
    if (factor) {
      const size = parseFloat(factor[2].replaceAll(",", ""));
      return factor[1] === "÷" ? 1 / size : size;
    }
    const plain = parseFloat(text.replaceAll(",", "").replace("−", "-").replace("+", ""));
    if (Number.isNaN(plain)) return text === "same" ? 1 : text;
    return text.includes("%") && /^[+−]/.test(text) ? 1 + plain / 100 : plain;
  };
  const compare = (left, right) => {
    if (typeof left === typeof right) return left < right ? -1 : left > right ? 1 : 0;
    return typeof left === "number" ? -1 : 1;
  };
  const sort = (table, head) => {
    const falls = head.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row, head.cellIndex), row]);
    rows.sort((one, other) => (falls ? -1 : 1) * compare(one[0], other[0]));
    all("th[aria-sort]", table).forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    body.append(...rows.map((row) => row[1]));
  };
  all("table.sortable").forEach((table) => {
    all("thead th", table).forEach((head) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.append(button);
    });
  });

  // Filtering: rows of the large tables, and scenarios.
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    const rows = [...all("table.filtered tbody tr"), ...all("details.scenario")];
    rows.forEach((row) => {
      const text = row.matches("details") ? row.firstElementChild : row;
      row.classList.toggle("filtered-out", !text.textContent.toLowerCase().includes(wanted));
    });
  });

  // Folding.
  const unfold = document.getElementById("unfold");
  unfold.addEventListener("click", () => {
    const opens = unfold.textContent === "unfold all";
    all("main details").forEach((one) => { one.open = opens; });
    unfold.textContent = opens ? "fold all" : "unfold all";
  });
  const show = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) {
      if (one.matches("details")) one.open = true;
    }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", show);
  if (location.hash) show();

  // Charts: drawn anew by Vega on wide screens; where the browser can't unpack it the drawing stays.
  const packed = document.getElementById("library");
  if (!packed || typeof DecompressionStream === "undefined") return;
  const unpacked = async () => {
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.type = "module";
    script.textContent = await new Response(stream).text();
    const loaded = new Promise((resolve) => { addEventListener("vega-is-there", resolve); });
    document.head.append(script);
    await loaded;
  };
  const draw = async (figure) => {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const live = figure.querySelector(".live");
    live.hidden = false;
    const { view } = await vegaEmbed(live, spec, { actions: false, renderer: "svg", ast: false });
    view.addEventListener("click", (event, item) => {
      if (item && item.datum && item.datum.id) location.hash = item.datum.id;
    });
    const drawing = live.querySelector("svg");
    drawing.setAttribute("viewBox", `0 0 ${drawing.getAttribute("width")} ${drawing.getAttribute("height")}`);
    drawing.style.maxWidth = `${drawing.getAttribute("width")}px`;
    drawing.removeAttribute("width");
    drawing.removeAttribute("height");
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", figure.querySelector("figcaption").textContent);
    figure.classList.add("is-live");
  };
  const figures = all("figure.chart");
  const drawAll = async () => {
    for (const figure of figures) await draw(figure);
    document.documentElement.dataset.charts = "live";
  };
  unpacked().then(drawAll);
})();
