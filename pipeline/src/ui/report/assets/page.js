"use strict";
// The controls of the page (theme, runs shown, zoom, scales), and the unfolding of all parts for print.

{
  const data = JSON.parse(document.getElementById("data").textContent);
  const labels = new Map(data.runs.map(({ run, label }) => [run, label]));

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // Adds controls, and replaces the still picture with an interactive plot.
  const enliven = (chart) => {
    const figure = document.querySelector(`figure[data-chart="${chart.id}"]`);
    const [target, readout] = [element("div", { className: "plot" }), element("p", { className: "readout" })];
    readout.textContent = "Drag to zoom, double-click to reset.";
    const controls = element("div", { className: "controls" });
    figure.querySelector("figcaption").after(controls, target, readout);
    figure.classList.add("live");
    const plot = new Plot(chart, target, readout, labels);

    const toggle = (words, on, change) => {
      const box = element("input", { type: "checkbox", checked: on });
      box.addEventListener("change", () => {
        change(box.checked);
        plot.draw();
      });
      controls.append(element("label", {}, box, ` ${words}`));
    };
    if (chart.positive) toggle("logarithmic y axis", chart.log, (on) => (plot.log = on));
    if (chart.cut) toggle("show peaks", false, (on) => (plot.whole = on));
    // Touch screens and keyboards can't drag, so the range of steps can also be typed.
    const ends = [0, 1].map((at) => {
      const box = element("input", { type: "number", min: 0, max: chart.steps, inputMode: "numeric" });
      box.addEventListener("change", () => plot.zoom(Number(ends[0].value), Number(ends[1].value)));
      controls.append(element("label", {}, at === 0 ? "steps " : "to ", box));
      return box;
    });
    const all = element("button", { type: "button", textContent: "all steps" });
    all.addEventListener("click", () => plot.zoom(0, chart.steps));
    controls.append(all);
    plot.changed = () => {
      [ends[0].value, ends[1].value] = [plot.from, plot.to];
      all.disabled = plot.from === 0 && plot.to === chart.steps;
    };
    plot.changed();
    return plot;
  };

  const plots = data.charts.map(enliven);
  const redraw = () => plots.forEach((plot) => plot.draw());

  const toggles = document.getElementById("runs");
  const boxes = [...toggles.querySelectorAll("input")];
  const choose = () => {
    const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => Number(box.value)));
    plots.forEach((plot) => (plot.hidden = hidden));
    redraw();
    document.querySelectorAll("#parameters [data-run]").forEach((part) => {
      part.classList.toggle("off", hidden.has(Number(part.dataset.run)));
    });
  };
  boxes.forEach((box) => box.addEventListener("change", choose));
  toggles.querySelectorAll("button").forEach((button) => button.addEventListener("click", () => {
    boxes.forEach((box) => (box.checked = Boolean(button.dataset.all)));
    choose();
  }));
  toggles.hidden = boxes.length < 2 || plots.length === 0;

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("change", ({ target }) => {
    if (target.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = target.value;
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // A link to a folded part unfolds it.
  const unfold = () => {
    const part = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (part instanceof HTMLDetailsElement) part.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Nothing can be unfolded on paper, so everything is unfolded before printing.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((part) => (part.open = true));
  });
  addEventListener("afterprint", () => folded.forEach((part) => (part.open = false)));
}
