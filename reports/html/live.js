// Shows the events of a run as they come. Every number comes with its text: nothing is computed
// here but where a line is drawn and which point is nearest.
(function () {
  "use strict";
  var SPACE = "http://www.w3.org/2000/svg", WIDTH = 1000, HEIGHT = 150;
  var points = [], panels = [], step = 1, crossed = -1, isFetching = false;

  function get(id) { return document.getElementById(id); }

  function make(tag, text, name) {
    var element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (name) element.className = name;
    return element;
  }

  function write(id, text) {
    var element = get(id);
    if (element.textContent !== text) element.textContent = text;
  }

  function fill(id, elements) { get(id).replaceChildren.apply(get(id), elements); }

  function row(cells, numbers) {
    var line = make("tr");
    cells.forEach(function (cell, at) {
      var place = make("td", null, numbers.indexOf(at) < 0 ? "" : "n");
      if (cell instanceof Node) place.append(cell); else place.textContent = cell;
      line.append(place);
    });
    return line;
  }

  // The charts, made once from what the run says of them.
  function build(specs) {
    var first = 0;
    panels = specs.map(function (spec) {
      var figure = make("figure", null, "time"), caption = make("figcaption", spec.title);
      var now = make("span", "", "now"), legend = make("ul", null, "legend"), plot = make("div", null, "plot");
      figure.id = "panel-" + spec.id;
      caption.append(now);
      var graph = document.createElementNS(SPACE, "svg");
      graph.setAttribute("class", "graph");
      graph.setAttribute("viewBox", "0 0 " + WIDTH + " " + HEIGHT);
      graph.setAttribute("preserveAspectRatio", "none");
      graph.setAttribute("aria-hidden", "true");
      var outputs = [], paths = spec.lines.map(function (line) {
        var path = document.createElementNS(SPACE, "path");
        path.setAttribute("class", "s" + line.ink);
        if (line.dashed) path.setAttribute("stroke-dasharray", "6 4");
        graph.append(path);
        legend.append(key(line, outputs));
        return path;
      });
      var cross = make("div", null, "cross"), cover = make("div", null, "cover"), top = make("span", "", "top");
      cross.hidden = true;
      cover.tabIndex = 0;
      cover.setAttribute("role", "slider");
      cover.setAttribute("aria-label", spec.title + ", time");
      cover.setAttribute("aria-valuemin", "0");
      plot.append(graph, top, cross, cover);
      figure.append(caption, legend, plot);
      var panel = { spec: spec, first: first, paths: paths, outputs: outputs, cross: cross, cover: cover, now: now, top: top, plot: plot };
      first += spec.lines.length;
      listen(panel);
      return panel;
    });
    fill("panels", panels.map(function (panel) { return panel.plot.parentNode; }));
  }

  function key(line, outputs) {
    var item = make("li"), picture = document.createElementNS(SPACE, "svg"), path = document.createElementNS(SPACE, "path");
    picture.setAttribute("class", "key");
    picture.setAttribute("viewBox", "0 0 96 40");
    picture.setAttribute("aria-hidden", "true");
    path.setAttribute("class", "s" + line.ink);
    path.setAttribute("d", "M0 20H96");
    if (line.dashed) path.setAttribute("stroke-dasharray", "24 14");
    picture.append(path);
    var output = make("output");
    outputs.push(output);
    item.append(picture, line.name + " ", output);
    return item;
  }

  function listen(panel) {
    function at(event) {
      var box = panel.plot.getBoundingClientRect();
      cross(Math.max(0, Math.min(points.length - 1, Math.floor((event.clientX - box.left) / box.width * points.length))));
    }
    panel.cover.addEventListener("pointermove", at);
    panel.cover.addEventListener("pointerdown", at);
    panel.cover.addEventListener("pointerleave", function () { if (document.activeElement !== panel.cover) cross(-1); });
    panel.cover.addEventListener("blur", function () { cross(-1); });
    panel.cover.addEventListener("keydown", function (event) {
      var by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
      if (event.key === "Escape") return cross(-1);
      if (by === undefined) return;
      event.preventDefault();
      var from = crossed < 0 ? points.length - 1 : crossed;
      cross(Math.max(0, Math.min(points.length - 1, from + by)));
    });
  }

  // The values at one point, or the newest ones.
  function cross(index) {
    crossed = index;
    var point = points[index < 0 ? points.length - 1 : index];
    if (!point) return;
    panels.forEach(function (panel) {
      panel.cross.hidden = index < 0;
      panel.cross.style.left = (index + 0.5) / points.length * 100 + "%";
      panel.now.textContent = index < 0 ? "" : "at " + point.text;
      panel.outputs.forEach(function (output, at) { output.textContent = point.texts[panel.first + at]; });
      panel.cover.setAttribute("aria-valuemax", String(Math.max(0, points.length - 1)));
      panel.cover.setAttribute("aria-valuenow", String(Math.max(0, index)));
      panel.cover.setAttribute("aria-valuetext", point.text + ": " + panel.spec.lines.map(function (line, at) {
        return line.name + " " + point.texts[panel.first + at];
      }).join(", "));
    });
  }

  function draw() {
    if (!points.length) return;
    panels.forEach(function (panel) {
      var most = 0, text = "";
      points.forEach(function (point) {
        panel.paths.forEach(function (_, at) {
          var value = point.values[panel.first + at];
          if (value !== null && value > most) { most = value; text = point.texts[panel.first + at]; }
        });
      });
      panel.top.textContent = most > 0 ? text : "";
      panel.paths.forEach(function (path, at) {
        var d = "", isDown = false;
        points.forEach(function (point, index) {
          var value = point.values[panel.first + at];
          if (value === null) { isDown = false; return; }
          var x = (index + 0.5) / points.length * WIDTH, y = HEIGHT - 4 - value / (most || 1) * (HEIGHT - 24);
          d += (isDown ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1);
          isDown = true;
        });
        // A single point has no length: a short line shows it.
        if (points.length === 1 && d) d += "h4";
        path.setAttribute("d", d);
      });
    });
    cross(crossed);
  }

  function past() {
    if (isFetching) return;
    isFetching = true;
    fetch("past.json").then(function (answer) { return answer.json(); }).then(function (past) {
      if (!panels.length) build(past.panels);
      points = past.points;
      step = past.step;
      draw();
      isFetching = false;
    }).catch(function () { isFetching = false; });
  }

  // Adds the newest point; asks for all of them where some are missing or were made wider.
  function add(now) {
    if (!now.point) return;
    var last = points[points.length - 1];
    if (last && last.at === now.point.at) points.pop();
    points.push(now.point);
    if (!panels.length || points.length !== now.points[0] || step !== now.points[1]) return past();
    draw();
  }

  function show(now) {
    if (now.state === "reported") { location.reload(); return; }
    document.title = now.state_text + ", " + now.at.text + ": " + now.title;
    write("title", now.title);
    write("target", now.target);
    write("state", now.state_text);
    write("at", now.at.text);
    write("stage", now.stage ? now.stage.role + ", " + now.stage.load + ": stage " + now.stage.number + (now.stage.of ? " of " + now.stage.of : "") + ", " + now.stage.left : "");
    get("share").value = now.stage ? now.stage.share : 0;
    get("pause").textContent = now.state === "paused" ? "Go on" : "Pause";
    fill("numbers", now.numbers.map(function (number) {
      var item = make("li");
      item.id = "number-" + number.id;
      item.dataset.value = String(number.shown.value);
      item.append(make("span", number.name), make("b", number.shown.text));
      return item;
    }));
    get("numbers").dataset.second = now.second ? now.second.join(" ") : "";
    fill("stages", now.stages.map(function (stage) {
      var item = make("li", stage.short, stage.state);
      item.title = stage.role + ", " + stage.load;
      item.setAttribute("aria-label", item.title);
      if (stage.state === "now") item.setAttribute("aria-current", "step");
      return item;
    }));
    suspect(now.suspects);
    fill("levels", now.levels.map(function (level) {
      var meter = make("meter");
      if (level.share !== null) { meter.value = Math.min(1, level.share); meter.setAttribute("aria-label", level.name); }
      return row([level.name, level.used.text, level.limit ? level.limit.text : "", level.share === null ? "" : meter, level.waiting], [1, 2]);
    }));
    get("no-errors").hidden = now.errors.length > 0;
    get("errors-table").hidden = !now.errors.length;
    fill("errors", now.errors.map(function (error) { return row([error.class, String(error.total), error.rate.text], [1, 2]); }));
    fill("lines", now.lines.slice().reverse().slice(0, 40).map(function (line) {
      return row([line.at.text, line.kind, String(line.count), make("code", line.text)], [0, 2]);
    }));
    get("lost").hidden = !now.lost;
    write("lost", now.lost ? now.lost + " readings came faster than this page took them in; the recording has them." : "");
    add(now);
  }

  function suspect(suspects) {
    if (!suspects) return;
    write("until", "As of " + suspects.until.text + ".");
    write("suspected", suspects.headline);
    fill("findings", suspects.findings.map(function (finding) {
      var item = make("li");
      item.append(make("b", finding[0]), " ", make("span", finding[1], "tag"), make("span", "confidence: " + finding[2], "tag"));
      return item;
    }));
  }

  function ask(what, text) {
    fetch(what, { method: "POST", body: text || "" }).then(function (answer) { return answer.text(); })
      .then(function (said) { write("said", said); }).catch(function () { write("said", "no answer"); });
  }

  if (document.body.dataset.control === "yes") {
    get("control").hidden = false;
    get("pause").hidden = document.body.dataset.pause !== "yes";
    get("pause").addEventListener("click", function () { ask(get("pause").textContent === "Pause" ? "pause" : "resume"); });
    get("mark").addEventListener("click", function () { ask("mark", ""); });
    get("end").addEventListener("click", function () { if (confirm("End the run now? What was recorded is kept.")) ask("end"); });
  }

  var events = new EventSource("events");
  // An event has what has changed since the one before; the first one has everything.
  var state = {};
  events.onmessage = function (event) {
    if (event.data) show(Object.assign(state, JSON.parse(event.data)));
  };
  events.onerror = function () { write("state", "no connection: the run has ended, or kneepoint was stopped"); };
  past();
})();
