// Charts from their specifications, and the filters of the learning curves.
"use strict";
tuneNer.data = JSON.parse(document.getElementById("data").textContent);

/** Return a select element and its label; `onChange` is called when another option is chosen. */
tuneNer.choice = function (label, options, onChange) {
  const select = tuneNer.element("select", { onchange: onChange });
  options.forEach(([value, text]) => select.append(tuneNer.element("option", { value }, text)));
  return { select, label: tuneNer.element("label", {}, tuneNer.element("span", {}, label), select) };
};

(function () {
  const NARROW = 480;
  const curveViews = [];

  /** Break the titles of configurations on the y axis after the first of their parts, so that the others fit. */
  function breakTitles(layer) {
    const y = layer.encoding?.y;
    if (y?.field !== "title") return false;
    const at = "indexof(datum.label, ' \u00b7 ')";
    const lines = `[slice(datum.label, 0, ${at}), slice(datum.label, ${at} + 3)]`;
    y.axis = { ...y.axis, labelExpr: `${at} < 0 ? datum.label : ${lines}`, labelLineHeight: 12, labelFontSize: 11 };
    return true;
  }

  async function draw(element) {
    const spec = tuneNer.data.charts[element.dataset.chart];
    if (element.clientWidth < NARROW) {
      spec.config.axis.labelLimit = 180;
      spec.config.legend.columns = 1;
      const broken = [spec, ...(spec.layer ?? [])].map(breakTitles);
      if (broken.includes(true)) spec.height *= 1.3;
    }
    if (element.dataset.rows === "curves") {
      // with the wheel alone, the page scrolls
      const select = { type: "interval", zoom: "wheel![event.ctrlKey || event.metaKey]" };
      spec.params.push({ name: "moved", select, bind: "scales", views: spec.params[0].views });
    }
    const actions = { export: true, source: false, compiled: false, editor: false };
    try {
      // `ast` evaluates expressions without `eval`, which the page's policy forbids
      const drawn = await vegaEmbed(element, spec, { mode: "vega-lite", renderer: "svg", ast: true, actions });
      element.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
      element.querySelectorAll("[class*=_brush]").forEach((part) => part.setAttribute("aria-hidden", "true"));
      if (element.dataset.rows === "curves") curveViews.push(drawn.view);
    } catch (error) {
      element.textContent = `This chart cannot be drawn: ${error.message}`;
    }
  }

  function addCurveFilters(curves) {
    const controls = document.getElementById("curves-controls");
    const status = tuneNer.element("p", { role: "status", class: "quiet" });
    const filters = curves.filters.map((filter) =>
      tuneNer.choice(filter.name, [["", "all"], ...filter.values.map((value, index) => [index, value])], update));
    const colour = tuneNer.choice("color by", curves.filters.map((filter, index) => [index, filter.name]), update);
    const most = tuneNer.choice("at most", [curves.most, 25, 50, 100].map((count) => [count, count]), update);
    const lines = tuneNer.choice("lines", [["", "trials"], ["mean", "mean and range by color"]], update);
    controls.append(...filters.map((filter) => filter.label),
      ...(filters.length ? [colour.label, lines.label] : []), most.label);
    controls.after(status);

    function update() {
      const matching = curves.trials.filter((trial) => filters.every(({ select }, index) =>
        select.value === "" || trial.values[index] === Number(select.value)));
      const isMean = lines.select.value === "mean";
      // the best alone would make every group look good
      const shown = isMean ? matching : matching.slice(0, Number(most.select.value));
      most.select.disabled = isMean;
      const by = Number(colour.select.value);
      const rows = shown.flatMap((trial) => trial.scores.map((score, index) => {
        const group = filters.length ? curves.filters[by].values[trial.values[by]] : "trial";
        const row = { colour: group, epoch: index + 1, score, loss: trial.losses[index] };
        return summary([row], trial.title);
      }));
      const count = `${matching.length.toLocaleString("en")} ${matching.length === 1 ? "trial" : "trials"}`;
      if (isMean) status.textContent = `${count}. Later epochs have only the trials that were not stopped before.`;
      else if (shown.length < matching.length) status.textContent = `The best ${shown.length} of ${count} by validation score.`;
      else status.textContent = `${count}.`;
      for (const view of curveViews) view.data("curves", isMean ? means(rows) : rows).resize().runAsync();
    }
    update();
  }

  /** Return a row for each colour and epoch. */
  function means(rows) {
    const groups = new Map();
    for (const row of rows) {
      const key = JSON.stringify([row.colour, row.epoch]);
      groups.set(key, [...(groups.get(key) || []), row]);
    }
    return [...groups.values()].map((group) => summary(group, `${group[0].colour}, mean`));
  }

  /** Return mean, lowest and highest score and loss of rows of one colour and epoch. */
  function summary(rows, trial) {
    const mean = { trial, colour: rows[0].colour, epoch: rows[0].epoch };
    for (const field of ["score", "loss"]) {
      const values = rows.map((row) => row[field]).filter((value) => value !== null);
      mean[field] = values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
      mean[`${field}_low`] = values.length ? Math.min(...values) : null;
      mean[`${field}_high`] = values.length ? Math.max(...values) : null;
    }
    return mean;
  }

  tuneNer.drawn = Promise.all([...document.querySelectorAll(".chart")].map(draw)).then(() => {
    if (document.getElementById("curves-controls")) addCurveFilters(tuneNer.data.curves);
    document.documentElement.dataset.drawn = "yes";
  });
})();
