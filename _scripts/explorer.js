// The page "Explore α": one slider, three panels and a table that move together. Its numbers are in the page; plotly draws them.
"use strict";

(function () {
  const root = document.getElementById("alpha-explorer");
  if (!root || !window.Plotly) return; // the figure below holds the same

  const part = (name) => document.getElementById("alpha-explorer-" + name);
  const data = JSON.parse(part("data").textContent);
  const slider = part("alpha");
  const middle = Number(slider.getAttribute("value"));
  const ink = "#1f2328", faint = "#8c8c8c"; // on white in both themes, as all figures of the book are: the palette of α is made for white
  const symbols = { clean: "circle", corrupted: "square", attacked: "diamond" };
  const dashes = { none: "solid", corruption: "dash", attack: "dot" };
  const places = data.alphas.map((_, place) => place);

  const signed = (text) => text.replace("-", "−");
  const alphaText = (place) => "α = " + signed(String(data.alphas[place]));
  const number = (value, measure) =>
    value === null ? "not measured" : signed(value.toFixed(measure.digits)) + (measure.unit ? "\u00a0" + measure.unit : "");

  function layout(title, x, y) {
    return {
      title: { text: title, font: { size: 15 }, x: 0.02, xanchor: "left" },
      font: { color: ink, size: 12 },
      paper_bgcolor: "#ffffff",
      plot_bgcolor: "#ffffff",
      margin: { l: 52, r: 14, t: 40, b: 46 },
      height: 320,
      dragmode: false, // a finger scrolls the page
      xaxis: Object.assign({ fixedrange: true, zeroline: false, linecolor: faint, showgrid: false, ticks: "outside" }, x),
      yaxis: Object.assign({ fixedrange: true, zeroline: false, linecolor: faint, gridcolor: "#ececec", rangemode: "tozero" }, y),
      legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" }, // below the axis, however narrow the panel
      showlegend: false,
    };
  }

  function accuracy(here) {
    const shown = data.measures.filter((one) => one.name in symbols);
    const keys = shown.map((one) => ({ // of the legend alone: the markers of the lines have many colours
      x: [null], y: [null], name: one.name, mode: "lines+markers", line: { color: faint, width: 1.5 }, marker: { symbol: symbols[one.name], color: ink, size: 8 },
    }));
    const lines = shown.map((one) => ({
      x: places, y: one.means, name: one.name, mode: "lines+markers", showlegend: false,
      line: { color: faint, width: 1.5 },
      marker: {
        symbol: places.map((place) => symbols[one.name] + (one.hollow[place] ? "-open" : "")), color: data.colours, opacity: 1,
        size: places.map((place) => (place === here ? 15 : 7)), line: { color: ink, width: places.map((place) => (place === here ? 1.5 : 0)) },
      },
      text: places.map(alphaText), hovertemplate: "%{text}: %{y:.1f} %<extra>" + one.name + "</extra>",
    }));
    const form = layout("accuracy, " + alphaText(here), { title: { text: "α" }, tickvals: places, ticktext: data.alphas.map((a) => signed(String(a))) },
      { title: { text: "accuracy (%)" }, range: [0, 105] });
    form.shapes = [{ type: "line", x0: here, x1: here, y0: 0, y1: 1, yref: "paper", layer: "below", line: { color: data.colours[here], width: 2, dash: "dot" } }];
    form.showlegend = true;
    form.margin.b = 78;
    return [keys.concat(lines), form];
  }

  // One line per α through the layers, all but one of them faint; of a change of the images only that one.
  function byLayer(here, lines, title, label) {
    const traces = [];
    for (const [change, rows] of Object.entries(lines)) {
      const order = places.filter((place) => place !== here && change === "none").concat(here); // that one on top
      for (const place of order) {
        const now = place === here;
        traces.push({
          x: data.depths, y: rows[place], name: now ? data.changes[change] : alphaText(place), mode: now ? "lines+markers" : "lines", connectgaps: false,
          opacity: now ? 1 : 0.3, showlegend: now, line: { color: data.colours[place], width: now ? 3 : 1.5, dash: dashes[change] }, marker: { size: 6 },
          hovertemplate: "layer %{x}: %{y:.3f}<extra>" + alphaText(place) + "</extra>",
        });
      }
    }
    const form = layout(title + ", " + alphaText(here), { title: { text: "ReLU layer, from the input" } }, { title: { text: label } });
    const all = Object.values(lines).flat(2).filter((value) => value !== null);
    form.yaxis.range = [0, 1.05 * Math.max(...all, 0.01)]; // the same wherever the slider is
    if (Object.keys(lines).length > 1) {
      form.showlegend = true;
      form.margin.b = 112;
      form.height = 370;
    }
    return [traces, form];
  }

  function draw(name, [traces, form], words) {
    const panel = part(name);
    window.Plotly.react(panel, traces, form, { responsive: true, displayModeBar: false });
    panel.setAttribute("aria-label", words);
  }

  const span = (values) => {
    const there = values.filter((value) => value !== null);
    return there.length ? "from " + there[0].toFixed(3) + " in the first layer to " + there[there.length - 1].toFixed(3) + " in the last" : "not measured";
  };

  function update() {
    const here = Number(slider.value);
    const said = data.measures.map((one) => one.label + " " + number(one.means[here], one)).join("; ");
    slider.setAttribute("aria-valuetext", alphaText(here));
    part("now").textContent = alphaText(here);
    part("now").style.setProperty("--alpha-colour", data.colours[here]);
    part("said").textContent = alphaText(here) + ": " + said + ".";
    part("lower").setAttribute("aria-disabled", String(here === 0));
    part("higher").setAttribute("aria-disabled", String(here === places.length - 1));
    data.measures.forEach((one, row) => {
      const [value, change, networks] = part("values").tBodies[0].rows[row].querySelectorAll("td");
      const from = one.means[middle], to = one.means[here];
      value.textContent = number(to, one);
      change.textContent = from === null || to === null ? "" : here === middle ? "" : (to < from ? "" : "+") + number(to - from, one).replace("%", "points");
      networks.textContent = String(one.networks[here]);
    });
    draw("accuracy", accuracy(here), "Accuracy against α, the marked one: " + said + ".");
    draw("selectivity", byLayer(here, { none: data.selectivity }, "selectivity", "mean class selectivity"),
      "Selectivity by layer at " + alphaText(here) + ": " + span(data.selectivity[here]) + "; the other α are faint.");
    if (data.dimensionality.none) {
      draw("dimensionality", byLayer(here, data.dimensionality, "dimensionality", "components for 95 % / units"),
        "Dimensionality by layer at " + alphaText(here) + ", clean images: " + span(data.dimensionality.none[here]) + "; the other α are faint.");
    } else {
      part("dimensionality").hidden = true;
    }
  }

  function step(by) {
    slider.value = String(Number(slider.value) + by); // the slider keeps it within its ends
    update();
  }

  root.hidden = false;
  slider.addEventListener("input", update);
  part("lower").addEventListener("click", () => step(-1));
  part("higher").addEventListener("click", () => step(1));
  update();
})();
