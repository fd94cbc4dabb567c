// What the page can do with script: a crosshair over all panels, zoom, what the evidence rests on,
// one endpoint, a search, a download, addresses that keep the view. Everything that is shown comes
// as text from the report; nothing is computed here but where a line is drawn.
(function () {
  "use strict";
  var SPACE = "http://www.w3.org/2000/svg";
  var data = JSON.parse(document.getElementById("crosshair").textContent);
  var count = data.times.length;

  function make(tag, text, name) {
    var element = document.createElement(tag);
    if (text) element.textContent = text;
    if (name) element.className = name;
    return element;
  }
  function draw(tag, attributes) {
    var element = document.createElementNS(SPACE, tag);
    Object.keys(attributes).forEach(function (name) { element.setAttribute(name, attributes[name]); });
    return element;
  }
  function clamp(value, least, most) { return Math.max(least, Math.min(most, value)); }

  search();
  if (!count) return;
  document.getElementById("hint").hidden = false;
  var current = -1;
  // The part of the run that is shown, in seconds.
  var view = { from: 0, to: data.end };

  var panels = data.panels.map(function (panel) {
    var figure = document.getElementById("time-" + panel.id);
    var plot = figure.querySelector(".plot");
    var cross = make("div", "", "cross"), cover = make("div", "", "cover"), picked = make("div", "", "picked");
    cross.hidden = picked.hidden = true;
    cover.tabIndex = 0;
    cover.setAttribute("role", "slider");
    cover.setAttribute("aria-label", figure.querySelector("figcaption").firstChild.textContent + ", time");
    cover.setAttribute("aria-valuemin", "0");
    cover.setAttribute("aria-valuemax", String(count - 1));
    cover.setAttribute("aria-valuenow", "0");
    plot.append(picked, cross, cover);
    var made = {
      id: panel.id, plot: plot, cross: cross, cover: cover, picked: picked, lines: panel.lines, reach: panel.reach,
      names: panel.names, values: panel.values, judged: [],
      now: figure.querySelector(".now"), outputs: figure.querySelectorAll("output"),
      pictures: [].map.call(plot.querySelectorAll("svg"), function (svg, at) { return picture(svg, panel, at); })
    };
    listen(made);
    legend(figure, made);
    return made;
  });

  // A drawing, with where its parts stand when nothing is zoomed.
  function picture(svg, panel, at) {
    var range = at ? data.narrow : data.wide, box = svg.viewBox.baseVal;
    var left = range[0] * box.width, right = range[1] * box.width;
    // A drawing in the drawing cuts off what lies outside it.
    var inside = draw("svg", { x: left, y: 0, width: right - left, height: box.height, viewBox: [left, 0, right - left, box.height].join(" ") });
    var parts = [];
    svg.querySelectorAll("polyline,polygon,rect,circle,text").forEach(function (element) {
      var points = element.getAttribute("points"), name = element.tagName;
      var from = name === "circle" ? "cx" : "x";
      var xs = points ? points.trim().split(/\s+/).map(function (pair) { return pair.split(",").map(Number); }) : [[Number(element.getAttribute(from))]];
      // What stands beside the data stays: the axis of values.
      if (Math.min.apply(null, xs.map(function (pair) { return pair[0]; })) < left - 1) return;
      parts.push({ element: element, points: points ? xs : null, from: from, x: xs[0][0], width: Number(element.getAttribute("width")) || 0 });
    });
    parts.forEach(function (part) { inside.append(part.element); });
    // Labels may stand out a little where nothing is zoomed.
    inside.style.overflow = "visible";
    svg.append(inside);
    return { left: left, right: right, parts: parts, inside: inside, reach: panel.reach };
  }

  function move(picture) {
    var left = picture.left, length = picture.right - left;
    var from = view.from / data.end * picture.reach, span = (view.to - view.from) / data.end * picture.reach;
    var isWhole = view.from === 0 && view.to === data.end;
    if (isWhole) { from = 0; span = 1; }
    function to(x) { return Math.round(left + ((x - left) / length - from) / span * length); }
    picture.parts.forEach(function (part) {
      if (part.points) {
        part.element.setAttribute("points", part.points.map(function (pair) { return to(pair[0]) + "," + pair[1]; }).join(" "));
      } else {
        part.element.setAttribute(part.from, to(part.x));
        if (part.width) part.element.setAttribute("width", Math.max(1, to(part.x + part.width) - to(part.x)));
      }
    });
    picture.inside.style.overflow = isWhole ? "visible" : "hidden";
  }

  function ends(plot) {
    return plot.querySelector(".on-phone").offsetParent === null ? data.wide : data.narrow;
  }
  // How much of the width the run takes: all of it where it is zoomed.
  function reach(panel) { return view.from === 0 && view.to === data.end ? panel.reach : 1; }

  function secondsAt(panel, x) {
    var box = panel.plot.getBoundingClientRect(), range = ends(panel.plot);
    var share = ((x - box.left) / box.width - range[0]) / (range[1] - range[0]) / reach(panel);
    return view.from + clamp(share, 0, 1) * (view.to - view.from);
  }
  function place(panel, seconds) {
    var range = ends(panel.plot);
    return range[0] + (seconds - view.from) / (view.to - view.from) * reach(panel) * (range[1] - range[0]);
  }
  function stand(panel, element, from, to) {
    var a = clamp(from, view.from, view.to), b = clamp(to, view.from, view.to);
    element.hidden = b <= a;
    element.style.left = place(panel, a) * 100 + "%";
    element.style.width = (place(panel, b) - place(panel, a)) * 100 + "%";
  }
  function indexAt(seconds) { return clamp(Math.floor(seconds / data.end * count), 0, count - 1); }

  function listen(panel) {
    var begun = null;
    panel.cover.addEventListener("pointerdown", function (event) {
      begun = { x: event.clientX, at: secondsAt(panel, event.clientX) };
      show(indexAt(begun.at));
    });
    panel.cover.addEventListener("pointermove", function (event) {
      var at = secondsAt(panel, event.clientX);
      show(indexAt(at));
      if (begun && event.buttons) stand(panel, panel.picked, Math.min(begun.at, at), Math.max(begun.at, at));
    });
    panel.cover.addEventListener("pointerup", function (event) {
      panel.picked.hidden = true;
      if (begun && Math.abs(event.clientX - begun.x) > 8) zoom(begun.at, secondsAt(panel, event.clientX), true);
      begun = null;
    });
    panel.cover.addEventListener("pointercancel", function () { panel.picked.hidden = true; begun = null; });
    panel.cover.addEventListener("dblclick", function () { zoom(0, data.end, true); });
    panel.cover.addEventListener("pointerleave", function (event) {
      if (event.pointerType === "mouse" && document.activeElement !== panel.cover) hide();
    });
    panel.cover.addEventListener("blur", hide);
    panel.cover.addEventListener("keydown", key);
  }

  function show(index) {
    current = index;
    var middle = data.seconds[index];
    panels.forEach(function (panel) {
      panel.cross.style.left = place(panel, middle) * 100 + "%";
      panel.cross.hidden = middle < view.from || middle > view.to;
      panel.now.textContent = "at " + data.times[index];
      var said = panel.lines.map(function (line, at) {
        panel.outputs[at].textContent = line[index];
        return panel.names[at] + " " + line[index];
      });
      panel.cover.setAttribute("aria-valuenow", String(index));
      panel.cover.setAttribute("aria-valuetext", data.times[index] + ": " + said.join(", "));
    });
  }

  function hide() {
    current = -1;
    panels.forEach(function (panel) {
      panel.cross.hidden = true;
      panel.now.textContent = "";
      panel.outputs.forEach(function (output) { output.textContent = ""; });
    });
  }

  function key(event) {
    var step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
    var least = indexAt(view.from), most = indexAt(view.to - 1e-6);
    var target = event.key === "Home" ? least : event.key === "End" ? most : null;
    if (event.key === "Escape") return hide();
    if (event.key === "+" || event.key === "=") return nearer(0.5);
    if (event.key === "-") return nearer(2);
    if (event.key === "0") return zoom(0, data.end, true);
    if (step === undefined && target === null) return;
    event.preventDefault();
    show(target !== null ? target : clamp((current < 0 ? least - 1 : current) + step, least, most));
  }

  function nearer(factor) {
    var middle = current < 0 ? (view.from + view.to) / 2 : data.seconds[current];
    var half = (view.to - view.from) * factor / 2;
    zoom(middle - half, middle + half, true);
  }

  var said = make("span", "", "quiet");

  function zoom(from, to, isTold) {
    var a = clamp(Math.min(from, to), 0, data.end), b = clamp(Math.max(from, to), 0, data.end);
    var least = 3 * data.end / count;
    if (b - a < least) { a = clamp(a, 0, Math.max(0, data.end - least)); b = Math.min(data.end, a + least); }
    // As the address keeps it.
    if (b < data.end || a > 0) { a = Math.floor(a * 10) / 10; b = Math.min(data.end, Math.ceil(b * 10) / 10); }
    view = { from: a, to: b };
    panels.forEach(function (panel) { panel.pictures.forEach(move); });
    judge(judged);
    if (current >= 0) show(current);
    var isWhole = a === 0 && b === data.end;
    said.textContent = isWhole ? "" : "shown: " + data.times[indexAt(a)].split(",")[0] + " to " + data.times[indexAt(b - 1e-6)].split(",")[0];
    if (isTold) remember(isWhole ? "#time" : "#time=" + a.toFixed(1) + "-" + b.toFixed(1));
  }

  function remember(hash) {
    // A page that was opened from a file may not be allowed to.
    try { history.replaceState(null, "", hash); } catch (_) { return; }
  }

  // The windows that a piece of evidence was measured in.
  var judged = [];
  function judge(windows) {
    judged = windows;
    panels.forEach(function (panel) {
      panel.judged.forEach(function (element) { element.remove(); });
      panel.judged = windows.map(function (span) {
        var element = make("div", "", "judged");
        stand(panel, element, span[0], span[1]);
        panel.plot.insertBefore(element, panel.cross);
        return element;
      });
    });
  }

  // A legend dims the other lines of its panel.
  function legend(figure, panel) {
    figure.querySelectorAll(".legend li").forEach(function (item) {
      var shape = item.querySelector(".key path, .key rect");
      var ink = shape && /[sf](\d+)/.exec(shape.getAttribute("class"));
      if (!ink) return;
      var button = make("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.append.apply(button, item.childNodes);
      item.append(button);
      button.addEventListener("click", function () {
        var isOn = button.getAttribute("aria-pressed") !== "true";
        figure.querySelectorAll(".legend button").forEach(function (other) { other.setAttribute("aria-pressed", "false"); });
        button.setAttribute("aria-pressed", String(isOn));
        panel.pictures.forEach(function (picture) {
          picture.parts.forEach(function (part) {
            var name = part.element.getAttribute("class") || "", of = /[sf](\d+)/.exec(name);
            // Inks from 20 on are the frame, the grid and the marks.
            var isLine = of && Number(of[1]) < 20 && part.element.tagName !== "text" && part.element.tagName !== "rect";
            part.element.classList.toggle("dim", Boolean(isOn && isLine && of[1] !== ink[1]));
          });
        });
      });
    });
  }

  // A small chart of lines that are not drawn in the report.
  function graph(title, lines, windows) {
    var figure = make("figure", "", "extra"), svg = draw("svg", { viewBox: "0 0 1000 120", preserveAspectRatio: "none", role: "img" });
    figure.append(make("figcaption", title), svg);
    var name = draw("title", {});
    name.textContent = title;
    svg.append(name);
    windows.forEach(function (span) {
      svg.append(draw("rect", { "class": "f24", opacity: 0.15, x: span[0] / data.end * 1000, y: 0, width: Math.max(2, (span[1] - span[0]) / data.end * 1000), height: 120 }));
    });
    var list = make("ul", "", "legend"), most = 0, inks = [1, 2, 4, 3, 5, 6];
    lines.forEach(function (line) { line.values.forEach(function (value) { if (value > most) most = value; }); });
    lines.forEach(function (line, at) {
      var d = "", isDown = false;
      line.values.forEach(function (value, index) {
        if (value === null) { isDown = false; return; }
        d += (isDown ? "L" : "M") + ((index + 0.5) / count * 1000).toFixed(1) + " " + (116 - value / (most || 1) * 108).toFixed(1);
        isDown = true;
      });
      var ink = "s" + inks[at % inks.length], item = make("li"), sign = draw("svg", { "class": "key", viewBox: "0 0 96 40", "aria-hidden": "true" });
      svg.append(draw("path", { "class": ink, d: d, fill: "none", "vector-effect": "non-scaling-stroke", "stroke-width": 1.75 }));
      sign.append(draw("path", { "class": ink, d: "M0 20H96" }));
      item.append(sign, line.name + ": at most " + line.most);
      list.append(item);
    });
    figure.append(list);
    return figure;
  }

  // What a condition was measured on: its series, and the windows on every panel.
  document.querySelectorAll("tr[data-window]").forEach(function (row) {
    var windows = data.windows[row.dataset.window] || [];
    var names = row.dataset.series ? row.dataset.series.split("|") : [];
    var lines = data.series.filter(function (line) { return names.indexOf(line.name) >= 0; });
    if (!windows.length) return;
    var button = make("button", "show"), shown = null;
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", "Show what this was measured on: " + row.cells[0].firstChild.textContent);
    button.addEventListener("click", function () {
      var isOpen = Boolean(shown);
      document.querySelectorAll("tr.looked-into").forEach(function (old) { old.remove(); });
      document.querySelectorAll("tr[data-window] button").forEach(function (other) { other.setAttribute("aria-expanded", "false"); });
      shown = null;
      judge(isOpen ? [] : windows);
      if (isOpen) return;
      button.setAttribute("aria-expanded", "true");
      shown = make("tr", "", "looked-into");
      var cell = make("td"), said = row.dataset.window + ": " + windows.map(function (span) {
        return data.times[indexAt(span[0])].split(",")[0] + " to " + data.times[indexAt(span[1])].split(",")[0];
      }).join("; ");
      cell.colSpan = row.cells.length;
      if (lines.length) cell.append(graph("Judged at " + said, lines, windows));
      else cell.append(make("p", "Judged at " + said + "; the windows are marked on the panels over time.", "quiet"));
      shown.append(cell);
      row.after(shown);
    });
    row.cells[row.cells.length - 1].append(" ", button);
  });

  tools();
  window.addEventListener("hashchange", follow);
  follow();

  function follow() {
    var asked = /^#time=(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (!asked) return;
    zoom(Number(asked[1]), Number(asked[2]), false);
    document.getElementById("time").scrollIntoView();
  }

  function tools() {
    var bar = document.getElementById("tools");
    function button(text, act) {
      var made = make("button", text);
      made.type = "button";
      made.addEventListener("click", act);
      bar.append(made, " ");
    }
    function choice(name, first, options, act) {
      if (!options.length) return;
      var label = make("label", name + " "), select = make("select");
      [first].concat(options).forEach(function (text, at) {
        var option = make("option", text);
        option.value = String(at - 1);
        select.append(option);
      });
      select.addEventListener("change", function () { act(Number(select.value)); });
      label.append(select);
      bar.append(label, " ");
    }
    button("Zoom in", function () { nearer(0.5); });
    button("Zoom out", function () { nearer(2); });
    button("Whole run", function () { zoom(0, data.end, true); });
    choice("Stage", "all", data.stages.map(function (stage, at) { return at + 1 + ": " + stage[0]; }), function (at) {
      if (at < 0) zoom(0, data.end, true); else zoom(data.stages[at][1], data.stages[at][2], true);
    });
    var endpoint = make("div"), host = make("div");
    function first(entry) { return entry[0]; }
    choice("Endpoint", "choose one", data.endpoints.map(first), function (at) {
      endpoint.replaceChildren();
      if (at < 0) return;
      var name = data.endpoints[at][0], lines = data.endpoints[at][1];
      endpoint.append(graph(name + ": response time of successful requests", lines.slice(0, 3), judged), graph(name + ": requests per second", lines.slice(3), judged));
    });
    choice("Host", "choose one", data.hosts.map(first), function (at) {
      host.replaceChildren();
      if (at < 0) return;
      // Each on an axis of its own: cores and bytes have nothing in common.
      data.hosts[at][1].forEach(function (line) { host.append(graph(data.hosts[at][0] + ": " + line.name, [line], judged)); });
    });
    button("Download the series (CSV)", download);
    bar.append(said);
    bar.hidden = false;
    bar.after(endpoint, host);
  }

  function download() {
    function quoted(text) { return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; }
    var head = ["seconds"], columns = [];
    panels.forEach(function (panel) {
      panel.names.forEach(function (name, at) { head.push(panel.id + ": " + name); columns.push(panel.values[at]); });
    });
    data.series.forEach(function (line) { head.push(line.name); columns.push(line.values); });
    data.endpoints.concat(data.hosts).forEach(function (entry) {
      entry[1].forEach(function (line) { head.push(entry[0] + ": " + line.name); columns.push(line.values); });
    });
    var rows = data.seconds.map(function (second, at) {
      return [second].concat(columns.map(function (column) { return column[at] === null ? "" : column[at]; })).join(",");
    });
    var link = make("a");
    link.href = URL.createObjectURL(new Blob([[head.map(quoted).join(",")].concat(rows).join("\n") + "\n"], { type: "text/csv" }));
    link.download = "series.csv";
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }

  // Keeps the findings, and the causes that were ruled out or not checked, that have all words.
  function search() {
    var field = document.getElementById("search"), found = document.getElementById("found");
    var entries = document.querySelectorAll("#evidence article, #ruled-out .rows > li, #not-checked .rows > li");
    if (!entries.length) return;
    field.closest("p").hidden = false;
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/).filter(Boolean), kept = 0;
      entries.forEach(function (entry) {
        var text = entry.textContent.toLowerCase();
        entry.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
        if (!entry.hidden) kept += 1;
      });
      found.textContent = words.length ? kept + " of " + entries.length : "";
    });
  }
})();
