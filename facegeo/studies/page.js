"use strict";
// Draws every plot in the colours of the page, and again when these change.
const dark = window.matchMedia("(prefers-color-scheme: dark)");

const LEGEND = 60; // px, what a figure's height allows for

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const [text, line, box] = ["--text", "--line", "--box"].map((name) => style.getPropertyValue(name).trim());
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  const narrow = window.innerWidth < 600;
  return {
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
    font: { color: text, size: narrow ? 11 : 13, family: getComputedStyle(document.body).fontFamily },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: box, bordercolor: line, font: { color: text } },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0 },
    margin: { l: narrow ? 44 : 60, r: narrow ? 8 : 20, t: 12, b: 40 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: text },
  };
}

function draw() {
  for (const place of document.querySelectorAll(".plot")) {
    const { data, layout } = JSON.parse(place.nextElementSibling.textContent);
    const options = { displaylogo: false, displayModeBar: false };
    Plotly.react(place, data, themed(layout), options).then(() => {
      // A long legend stands below the axes and must not take their height.
      const more = (place.querySelector(".legend")?.getBBox().height ?? 0) - LEGEND;
      if (more > 0) Plotly.relayout(place, { height: layout.height + more });
    });
  }
}

draw();
dark.addEventListener("change", draw);
const sizes = new ResizeObserver((changes) => changes.forEach(({ target }) => Plotly.Plots.resize(target)));
document.querySelectorAll(".plot").forEach((place) => sizes.observe(place));
