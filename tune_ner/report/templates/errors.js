// The errors themselves: sentences with their gold and predicted spans, filtered. Offsets count code points.
"use strict";
(function () {
  const PAGE = 20;
  const controls = document.getElementById("errors-controls");
  if (!controls) return;
  const element = tuneNer.element;
  const all = tuneNer.data.errors;

  const part = tuneNer.choice("split", Object.keys(all).map((name) => [name, name]), restart);
  const trial = tuneNer.choice("trial", [], update);
  const other = tuneNer.choice("beside", [], update);
  const label = tuneNer.choice("type", [], update);
  const differ = element("input", { type: "checkbox", onchange: update });
  const words = element("input", { type: "search", oninput: update, placeholder: "any" });
  const kinds = element("fieldset", {}, element("legend", {}, "kinds of error, of the trial"));
  const warning = element("p", { class: "warning", hidden: true },
    "Whoever reads the errors on test and changes anything for it has spent this test part: its figures are no "
    + "estimate for new text any more.");
  const told = element("p", { role: "status", class: "quiet" });
  const list = element("div", { class: "sentences" });
  const pager = tuneNer.pager(PAGE, show, "sentences");
  let found = [];

  controls.append(part.label, trial.label, other.label,
    element("label", { class: "check" }, differ, " only where the two differ"),
    label.label, element("label", {}, element("span", {}, "text contains"), words), kinds);
  document.getElementById("errors-result").append(warning, told, list, pager.bar);

  const chosen = () => all[part.select.value];
  const ticked = () => new Set([...kinds.querySelectorAll("input:checked")].map((box) => Number(box.value)));

  function restart() {
    const { trials, types, kinds: names } = chosen();
    const titles = trials.map((one, place) => [place, `${one.title} (F1 ${one.f1.toFixed(3)})`]);
    fill(trial.select, titles);
    fill(other.select, [["", "no other"], ...titles]);
    fill(label.select, [["", "all"], ...types.map((name, place) => [place, name])]);
    kinds.replaceChildren(kinds.firstElementChild, ...names.map((name, place) => element("label", { class: "check" },
      element("input", { type: "checkbox", value: place, checked: "", onchange: update }), ` ${name} `,
      element("output", {}))));
    warning.hidden = part.select.value !== "test";
    update();
  }

  function fill(select, options) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  }

  function update() {
    const data = chosen();
    const one = data.trials[Number(trial.select.value)];
    const two = other.select.value === "" ? null : data.trials[Number(other.select.value)];
    differ.disabled = two === null;
    if (!one) return tell(data, []);
    const errors = new Map(one.errors);
    const others = new Map(two ? two.errors : []);
    count(data, errors);
    const kept = ticked();
    const type = label.select.value === "" ? null : Number(label.select.value);
    const text = words.value.toLowerCase();
    const rows = two && two.fold !== one.fold ? [] : [...new Set([...errors.keys(), ...others.keys()])]
      .sort((a, b) => data.sentences[a][1] - data.sentences[b][1]);
    found = rows
      .map((row) => ({ sentence: data.sentences[row], sets: [errors.get(row) || [], ...(two ? [others.get(row) || []] : [])] }))
      .filter(({ sentence, sets }) =>
        sets.some((set) => set.some((error) => kept.has(error[0]) && (type === null || types(sentence, error).includes(type))))
        && (!two || !differ.checked || JSON.stringify(sets[0]) !== JSON.stringify(sets[1]))
        && (!text || sentence[2].toLowerCase().includes(text)));
    tell(data, found, one, two);
  }

  function types(sentence, error) {
    const gold = error[1] < 0 ? [] : [sentence[3][error[1]][2]];
    return error.length > 2 ? [...gold, error[4]] : gold;
  }

  function count(data, errors) {
    const counts = data.kinds.map(() => 0);
    for (const set of errors.values()) for (const error of set) counts[error[0]] += 1;
    kinds.querySelectorAll("output").forEach((output, place) => { output.textContent = counts[place]; });
  }

  function tell(data, rows, one, two) {
    const notes = [];
    if (one) notes.push(`${rows.length.toLocaleString("en")} of the ${data.sentencesOfPart.toLocaleString("en")} `
      + `${part.select.value} sentences.`);
    else notes.push("No trial has errors to show.");
    if (two && two.fold !== one.fold) notes.push("The two were measured on different folds and share no sentence.");
    if (data.leftOut) notes.push(`${data.leftOut.toLocaleString("en")} trials are left out to keep the page small: `
      + `those of the best ${data.trials.length.toLocaleString("en")} are here, the others in predictions/.`);
    if (data.cutShort) notes.push("Of this one only a part of the sentences is here.");
    told.textContent = notes.join(" ");
    pager.reset(rows.length);
  }

  function show(from, to) {
    const names = [trial, other].map((choice) => choice.select.selectedOptions[0]?.textContent);
    list.replaceChildren(...found.slice(from, to).map((entry) => article(entry, names)));
  }

  function article({ sentence, sets }, names) {
    const [, index, text, gold] = sentence;
    const letters = Array.from(text);
    const missed = sets[0].filter((error) => error.length === 2).map((error) => gold[error[1]]);
    const lines = [line("gold", letters, gold, new Set(missed))];
    sets.forEach((set, place) => {
      const wrong = new Set(set.map((error) => error[1]).filter((goldPlace) => goldPlace >= 0));
      const right = gold.filter((span, goldPlace) => !wrong.has(goldPlace));
      const guessed = set.filter((error) => error.length > 2).map((error) => error.slice(2));
      const name = sets.length > 1 ? names[place].split(" ")[0] + (place ? " (beside)" : "") : "predicted";
      lines.push(line(name, letters, [...right, ...guessed], new Set(guessed), names[place]));
    });
    const points = sets.map((set, place) => element("ul", {}, ...set.map((error) =>
      element("li", {}, (place ? "beside: " : "") + described(error, letters, gold)))));
    return element("article", {}, element("h3", {}, `Sentence ${index + 1}`),
      element("dl", { class: "lines" }, ...lines.flat()), ...points);
  }

  function described(error, letters, gold) {
    const { kinds: names, types: labels } = chosen();
    const said = ([start, end, type]) => `${labels[type]} “${letters.slice(start, end).join("")}”`;
    const pieces = [error[1] < 0 ? null : said(gold[error[1]]), error.length > 2 ? said(error.slice(2)) : null];
    return `${names[error[0]]}: ${pieces.filter((piece) => piece !== null).join(" → ")}`;
  }

  /** A line of a sentence, its spans marked and named; where spans overlap, a mark names all that hold there. */
  function line(name, letters, spans, wrong, title) {
    const ends = [...new Set([0, letters.length, ...spans.flatMap(([start, end]) => [start, end])])]
      .filter((end) => end >= 0 && end <= letters.length).sort((a, b) => a - b);
    const pieces = ends.slice(0, -1).map((start, place) => {
      const text = letters.slice(start, ends[place + 1]).join("");
      const here = spans.filter((span) => span[0] <= start && start < span[1]);
      return here.length ? marked(text, here, wrong, ends[place + 1]) : text;
    });
    return [element("dt", { title }, name), element("dd", {}, ...pieces)];
  }

  function marked(text, spans, wrong, end) {
    const labels = chosen().types;
    const names = spans.filter((span) => span[1] === end).map((span) => labels[span[2]]);
    const classes = [`type-${spans[0][2] % 7}`, ...(spans.some((span) => wrong.has(span)) ? ["wrong"] : [])];
    return element("mark", { class: classes.join(" ") }, text,
      ...(names.length ? [element("small", {}, names.join(", "))] : []));
  }

  restart();
})();
