// Tries the page of a timeline in a browser: .ci/run puts this at its end. An error is found in the page, as data-error.
"use strict";
{
  const check = (right, what) => { if (!right) throw new Error("the page: " + what); };
  const range = () => find("range").textContent;
  const press = key => rows.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
  const point = (type, x, y) => rows.dispatchEvent(new MouseEvent(type, {
    clientX: rows.getBoundingClientRect().left + x, clientY: rows.getBoundingClientRect().top + y, bubbles: true }));
  const all = range();

  check(+document.body.dataset.drawn > 0, "draws nothing");
  // The slow callback has the colour of its row at its middle.
  const slow = slowest[0], y = TOP + slow.row * HIGH + 8;
  const pixel = rows.getContext("2d").getImageData(xOf((slow.begin + slow.end) / 2) * devicePixelRatio, y * devicePixelRatio, 1, 1).data;
  const ink = document.createElement("canvas").getContext("2d");
  ink.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--c" + slow.row);
  ink.fillRect(0, 0, 1, 1);
  check(pixel.join() === ink.getImageData(0, 0, 1, 1).data.join(), "the slowest callback is not where it should be");

  press("+");
  check(range() !== all, "+ does not zoom");
  press("0");
  check(range() === all, "0 does not show all");
  rows.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, cancelable: true }));
  const zoomed = range();
  check(zoomed !== all, "the wheel does not zoom");
  press("ArrowRight");
  check(range() !== zoomed, "the right arrow does not move");
  press("Home");
  press("ArrowDown");
  check(find("detail").textContent.includes("takes"), "the down arrow selects nothing");
  press("Escape");

  point("pointermove", xOf((slow.begin + slow.end) / 2), y);
  check(!find("tip").hidden && find("tip").textContent.includes(slow.site), "no tip over the slowest callback");
  point("pointerleave", 0, 0);
  check(find("tip").hidden, "the tip stays");
  find("slowest").click();
  check(selected === slow && range() !== all, "the button does not show the slowest callback");
  find("fit").click();

  for (const id of ["slow", "lines", "waits"]) check(find(id).rows.length > 1, "an empty table: " + id);
  check(find("slow").rows[1].textContent.includes(slow.site), "the slowest callback is not the first of its table");
  document.body.dataset.tried = "all";
}
