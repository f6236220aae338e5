// The error browser: sentences with their gold and predicted spans, filtered. Offsets count code points.
"use strict";
(function () {
  const PAGE = 20;
  const FREQUENT = 8;
  const controls = document.getElementById("errors-controls");
  if (!controls) return;
  const element = tuneNer.element;
  const splits = tuneNer.data.errors;

  const split = tuneNer.choice("split", Object.keys(splits).map((name) => [name, name]), () => { only = null; chooseSplit(); });
  const trial = tuneNer.choice("trial", [], change);
  const other = tuneNer.choice("compare with", [], change);
  const type = tuneNer.choice("type", [], change);
  const novelty = tuneNer.choice("gold entity", [["", "any or none"], ["1", "seen in train"], ["0", "not seen in train"]], change);
  const onlyDifferent = element("input", { type: "checkbox", onchange: change });
  const search = element("input", { type: "search", oninput: change, placeholder: "any" });
  const kinds = element("fieldset", {}, element("legend", {}, "error types of the trial"));
  const warning = element("p", { class: "warning", hidden: true },
    "Changes made after reading errors on the test set adapt the model to it. Its scores are then too optimistic: use "
    + "a new test set.");
  const status = element("p", { role: "status", class: "quiet" });
  const frequent = element("ul", { class: "frequent", "aria-label": "Most frequent errors" });  // those that occur more than once
  const list = element("div", { class: "sentences" });
  const pager = tuneNer.pager(PAGE, show, "sentences");
  const all = element("button", { type: "button", onclick: () => { change(); trial.select.focus(); }, hidden: true },
    "Show all sentences");
  let matching = [];
  let only = null;  // fold and index of the one sentence that a link names

  controls.append(split.label, trial.label, other.label,
    element("label", { class: "check" }, onlyDifferent, " only sentences where they differ"),
    type.label, novelty.label, element("label", {}, element("span", {}, "text contains"), search), kinds);
  document.getElementById("errors-result").append(warning, status, all, frequent, list, pager.bar);

  const chosenSplit = () => splits[split.select.value];
  const chosenKinds = () => new Set([...kinds.querySelectorAll("input:checked")].map((box) => Number(box.value)));

  function chooseSplit(chosen = "0") {
    const { trials, types, kinds: names } = chosenSplit();
    const titles = trials.map((one, index) => [index, `${one.title} (F1 ${one.f1.toFixed(3)})`]);
    setOptions(trial.select, titles);
    if (titles.length) trial.select.value = chosen;
    setOptions(other.select, [["", "none"], ...titles]);
    setOptions(type.select, [["", "all"], ...types.map((name, index) => [index, name])]);
    kinds.replaceChildren(kinds.firstElementChild, ...names.map((name, index) => element("label", { class: "check" },
      element("input", { type: "checkbox", value: index, checked: "", onchange: change }), ` ${name} `,
      element("output", {}))));
    warning.hidden = split.select.value !== "test";
    novelty.label.hidden = !chosenSplit().has_seen;
    update();
  }

  /** Show the sentence and the trial that the address names, such as `#errors:test:0:12` for those of the first trial. */
  function followLink() {
    const found = /^#errors:(\w+):(\d+):(\d+)$/.exec(location.hash);
    if (!found || !Object.hasOwn(splits, found[1]) || !splits[found[1]].trials[Number(found[2])]) return;
    split.select.value = found[1];
    search.value = novelty.select.value = "";
    onlyDifferent.checked = false;
    only = [splits[found[1]].trials[Number(found[2])].fold, Number(found[3])];
    chooseSplit(found[2]);
    document.getElementById("errors").scrollIntoView();
  }

  /** Show what the filters leave, not the sentence of a link any more. */
  function change() {
    only = null;
    update();
  }

  function setOptions(select, options) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  }

  function update() {
    const data = chosenSplit();
    const first = data.trials[Number(trial.select.value)];
    const second = other.select.value === "" ? null : data.trials[Number(other.select.value)];
    onlyDifferent.disabled = second === null;
    if (!first) return report(data, []);
    const errors = new Map(first.errors);
    const otherErrors = new Map(second ? second.errors : []);
    const kept = chosenKinds();
    const chosenType = type.select.value === "" ? null : Number(type.select.value);
    const text = search.value.toLowerCase();
    const isChosen = (sentence, error) => (chosenType === null || typesOf(sentence, error).includes(chosenType))
      && (novelty.select.value === "" || (error[1] >= 0 && sentence[3][error[1]][3] === Number(novelty.select.value)));
    const isShown = (sentence) => (only === null || (sentence[0] === only[0] && sentence[1] === only[1]))
      && (!text || sentence[2].toLowerCase().includes(text));
    const rows = second && second.fold !== first.fold ? [] : [...new Set([...errors.keys(), ...otherErrors.keys()])]
      .sort((a, b) => data.sentences[a][1] - data.sentences[b][1]);
    const candidates = rows
      .map((row) => ({
        sentence: data.sentences[row],
        sets: [errors.get(row) || [], ...(second ? [otherErrors.get(row) || []] : [])],
      }))
      .filter(({ sentence, sets }) => isShown(sentence)
        && (!second || !onlyDifferent.checked || JSON.stringify(sets[0]) !== JSON.stringify(sets[1])));
    matching = candidates.filter(({ sentence, sets }) =>
      sets.some((set) => set.some((error) => kept.has(error[0]) && isChosen(sentence, error))));
    const counted = candidates.flatMap(({ sentence, sets }) =>
      sets[0].filter((error) => isChosen(sentence, error)).map((error) => [sentence, error]));
    showCounts(data, counted);
    showFrequent(counted.filter(([, error]) => kept.has(error[0])));
    all.hidden = only === null;
    report(data, matching, first, second);
  }

  function typesOf(sentence, error) {
    const gold = error[1] < 0 ? [] : [sentence[3][error[1]][2]];
    return error.length > 2 ? [...gold, error[4]] : gold;
  }

  function showCounts(data, counted) {
    const counts = data.kinds.map(() => 0);
    for (const [, error] of counted) counts[error[0]] += 1;
    kinds.querySelectorAll("output").forEach((output, index) => { output.textContent = counts[index]; });
  }

  /** List the errors that occur more than once; a click searches for their text. */
  function showFrequent(counted) {
    const counts = new Map();
    for (const [[, , text, gold], error] of counted) {
      const letters = Array.from(text);
      const [start, end] = error[1] < 0 ? error.slice(2) : gold[error[1]];
      const key = describe(error, letters, gold);
      const { count } = counts.get(key) || { count: 0 };
      counts.set(key, { count: count + 1, text: letters.slice(start, end).join("") });
    }
    const shown = [...counts].filter(([, { count }]) => count > 1).sort((one, two) => two[1].count - one[1].count);
    frequent.replaceChildren(...shown.slice(0, FREQUENT).map(([key, { count, text }]) => element("li", {},
      `${count} × `, element("button", { type: "button", onclick: () => { search.value = text; change(); search.focus(); } }, key))));
  }

  function report(data, rows, first, second) {
    const notes = [];
    if (first) notes.push(`${rows.length.toLocaleString("en")} of ${data.split_size.toLocaleString("en")} `
      + `${split.select.value} sentences.`);
    else notes.push("No trial has errors to show.");
    if (second && second.fold !== first.fold) notes.push("The two trials were evaluated on different folds.");
    if (data.omitted_trials) notes.push(`To keep the page small, it has the errors of the best `
      + `${data.trials.length.toLocaleString("en")} trials only; those of ${data.omitted_trials.toLocaleString("en")} `
      + "more are in predictions/.");
    if (data.is_truncated) notes.push("It has only some of this trial's errors.");
    status.textContent = notes.join(" ");
    pager.reset(rows.length);
  }

  function show(from, to) {
    const names = [trial, other].map((choice) => choice.select.selectedOptions[0]?.textContent);
    list.replaceChildren(...matching.slice(from, to).map((entry) => article(entry, names)));
  }

  function article({ sentence, sets }, names) {
    const [, index, text, gold] = sentence;
    const letters = Array.from(text);
    const missed = sets[0].filter((error) => error.length === 2).map((error) => gold[error[1]]);
    const lines = [line("gold", letters, gold, new Set(missed))];
    sets.forEach((set, place) => {
      const wrong = new Set(set.map((error) => error[1]).filter((goldIndex) => goldIndex >= 0));
      const correct = gold.filter((span, goldIndex) => !wrong.has(goldIndex));
      const predicted = set.filter((error) => error.length > 2).map((error) => error.slice(2));
      const name = sets.length > 1 ? names[place].split(" ")[0] : "predicted";
      lines.push(line(name, letters, [...correct, ...predicted], new Set(predicted), names[place]));
    });
    const details = sets.map((set, place) => element("ul", {},
      ...[...set.map((error) => describe(error, letters, gold)), ...splitAndMerged(set, letters, gold)].map((told) =>
        element("li", {}, (sets.length > 1 ? `${names[place].split(" ")[0]} ` : "") + told))));
    const link = element("a", { href: `#errors:${split.select.value}:${trial.select.value}:${index}` }, `Sentence ${index + 1}`);
    return element("article", {}, element("h3", {}, link),
      element("dl", { class: "lines" }, ...lines.flat()), ...details);
  }

  function describe(error, letters, gold) {
    const spans = [...(error[1] < 0 ? [] : [gold[error[1]]]), ...(error.length > 2 ? [error.slice(2)] : [])];
    return `${chosenSplit().kinds[error[0]]}: ${spans.map((span) => quote(span, letters)).join(" → ")}`;
  }

  function quote([start, end, type], letters) {
    return `${chosenSplit().types[type]} “${letters.slice(start, end).join("")}”`;
  }

  /** Describe gold entities that overlap with several wrong predictions, and such predictions with several entities. */
  function splitAndMerged(set, letters, gold) {
    const predicted = set.filter((error) => error.length > 2).map((error) => error.slice(2));
    const several = (spans, others) => spans
      .map((span) => [span, others.filter((one) => one[0] < span[1] && span[0] < one[1])
        .sort((one, two) => one[0] - two[0])])
      .filter(([, parts]) => parts.length > 1 && parts.every((one, place) => !place || one[0] >= parts[place - 1][1]))
      .map(([span, parts]) => [quote(span, letters), parts.map((part) => quote(part, letters)).join(", ")]);
    return [...several(gold, predicted).map(([one, parts]) => `split: ${one} → ${parts}`),
      ...several(predicted, gold).map(([one, parts]) => `merged: ${parts} → ${one}`)];
  }

  /** Return a line of a sentence with its spans marked; where spans overlap, a mark names all of them. */
  function line(name, letters, spans, wrong, title) {
    const ends = [...new Set([0, letters.length, ...spans.flatMap(([start, end]) => [start, end])])]
      .filter((end) => end >= 0 && end <= letters.length).sort((a, b) => a - b);
    const pieces = ends.slice(0, -1).map((start, index) => {
      const text = letters.slice(start, ends[index + 1]).join("");
      const here = spans.filter((span) => span[0] <= start && start < span[1]);
      return here.length ? mark(text, here, wrong, ends[index + 1]) : text;
    });
    return [element("dt", { title }, name), element("dd", {}, ...pieces)];
  }

  function mark(text, spans, wrong, end) {
    const { types } = chosenSplit();
    const names = spans.filter((span) => span[1] === end).map((span) => types[span[2]]);
    const classes = [`type-${spans[0][2] % 7}`, ...(spans.some((span) => wrong.has(span)) ? ["wrong"] : [])];
    return element("mark", { class: classes.join(" ") }, text,
      ...(names.length ? [element("small", {}, names.join(", "))] : []));
  }

  chooseSplit();
  followLink();
  addEventListener("hashchange", followLink);
})();
