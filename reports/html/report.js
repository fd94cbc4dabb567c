// A crosshair over all panels: one time, the value of every line at it. Everything that is shown
// comes as text from the report; nothing is computed here but which point is nearest.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("crosshair").textContent);
  var count = data.times.length;
  if (!count) return;
  var hint = document.getElementById("hint");
  if (hint) hint.hidden = false;
  var current = -1;

  var panels = data.panels.map(function (panel) {
    var figure = document.getElementById("time-" + panel.id);
    var plot = figure.querySelector(".plot");
    var cross = document.createElement("div");
    cross.className = "cross";
    cross.hidden = true;
    var cover = document.createElement("div");
    cover.className = "cover";
    cover.tabIndex = 0;
    cover.setAttribute("role", "slider");
    cover.setAttribute("aria-label", figure.querySelector("figcaption").firstChild.textContent + ", time");
    cover.setAttribute("aria-valuemin", "0");
    cover.setAttribute("aria-valuemax", String(count - 1));
    cover.setAttribute("aria-valuenow", "0");
    plot.append(cross, cover);
    cover.addEventListener("pointermove", function (event) { show(nearest(plot, event.clientX, panel.reach)); });
    cover.addEventListener("pointerdown", function (event) { show(nearest(plot, event.clientX, panel.reach)); });
    cover.addEventListener("pointerleave", function (event) {
      if (event.pointerType === "mouse" && document.activeElement !== cover) hide();
    });
    cover.addEventListener("blur", hide);
    cover.addEventListener("keydown", key);
    return {
      plot: plot, cross: cross, cover: cover, lines: panel.lines, reach: panel.reach,
      now: figure.querySelector(".now"), outputs: figure.querySelectorAll("output")
    };
  });

  function ends(plot) {
    return plot.querySelector(".on-phone").offsetParent === null ? data.wide : data.narrow;
  }

  function nearest(plot, x, reach) {
    var box = plot.getBoundingClientRect();
    var range = ends(plot);
    var share = ((x - box.left) / box.width - range[0]) / (range[1] - range[0]) / reach;
    return Math.max(0, Math.min(count - 1, Math.floor(share * count)));
  }

  function show(index) {
    if (index === current) return;
    current = index;
    panels.forEach(function (panel) {
      var range = ends(panel.plot);
      var share = range[0] + (index + 0.5) / count * panel.reach * (range[1] - range[0]);
      panel.cross.style.left = share * 100 + "%";
      panel.cross.hidden = false;
      panel.now.textContent = "at " + data.times[index];
      var said = panel.lines.map(function (line, at) {
        panel.outputs[at].textContent = line[index];
        return line[index];
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
    var target = event.key === "Home" ? 0 : event.key === "End" ? count - 1 : null;
    if (event.key === "Escape") return hide();
    if (step === undefined && target === null) return;
    event.preventDefault();
    show(target !== null ? target : Math.max(0, Math.min(count - 1, current + step)));
  }
})();
