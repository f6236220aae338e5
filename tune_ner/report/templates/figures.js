// Figures from their specifications, and the learning curves with their filters.
"use strict";
tuneNer.data = JSON.parse(document.getElementById("data").textContent);

/** A labelled choice; `change` is called when it is made. */
tuneNer.choice = function (label, options, change, selected) {
  const select = tuneNer.element("select", { onchange: change });
  options.forEach(([value, text]) => select.append(tuneNer.element("option", { value }, text)));
  if (selected !== undefined) select.value = selected;
  return { select, label: tuneNer.element("label", {}, tuneNer.element("span", {}, label), select) };
};

(function () {
  const NARROW = 480;
  const views = { curves: [] };

  async function draw(place) {
    const spec = tuneNer.data.figures[place.dataset.figure];
    if (place.clientWidth < NARROW) {
      spec.config.axis.labelLimit = 130;
      spec.config.legend.columns = 1;
    }
    const actions = { export: true, source: false, compiled: false, editor: false };
    try {
      // `ast` evaluates expressions without `eval`, which the page forbids
      const drawn = await vegaEmbed(place, spec, { mode: "vega-lite", renderer: "svg", ast: true, actions });
      if (place.dataset.rows) views[place.dataset.rows].push(drawn.view);
    } catch (error) {
      place.textContent = `This figure cannot be drawn: ${error.message}`;
    }
  }

  function explore(curves) {
    const controls = document.getElementById("curves-controls");
    const told = tuneNer.element("p", { role: "status", class: "quiet" });
    const filters = curves.axes.map((axis) =>
      tuneNer.choice(axis.name, [["", "all"], ...axis.values.map((value, place) => [place, value])], update));
    const colour = tuneNer.choice("colour by", curves.axes.map((axis, place) => [place, axis.name]), update);
    const most = tuneNer.choice("at most", [curves.most, 25, 50, 100].map((count) => [count, count]), update);
    controls.append(...filters.map((filter) => filter.label), ...(curves.axes.length ? [colour.label] : []), most.label);
    controls.after(told);

    function update() {
      const found = curves.trials.filter((trial) =>
        filters.every((filter, axis) => filter.select.value === "" || trial.axes[axis] === Number(filter.select.value)));
      const shown = found.slice(0, Number(most.select.value));
      const axis = Number(colour.select.value);
      const rows = shown.flatMap((trial) => trial.f1.map((f1, place) => ({
        trial: trial.title,
        colour: curves.axes.length ? curves.axes[axis].values[trial.axes[axis]] : "trial",
        epoch: place + 1,
        f1,
        loss: trial.loss[place],
      })));
      told.textContent = shown.length < found.length
        ? `The best ${shown.length} of ${found.length.toLocaleString("en")} trials by validation F1.`
        : `${found.length} trials.`;
      for (const view of views.curves) view.data("curves", rows).runAsync();
    }
    update();
  }

  const places = [...document.querySelectorAll(".chart")];
  tuneNer.drawn = Promise.all(places.map(draw)).then(() => {
    if (document.getElementById("curves-controls")) explore(tuneNer.data.curves);
    document.documentElement.dataset.drawn = "yes";
  });
})();
