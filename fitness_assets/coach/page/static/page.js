// Sends the form while a slider moves, and shows the 30 days that come back. Without this file the button does the same.
"use strict";
const form = document.getElementById("goal");
const shown = document.getElementById("forecast");

function tell(input) {
  const output = form.querySelector(`output[for="${input.id}"]`);
  if (output) {
    const text = `${Number(input.value).toLocaleString("en")} ${output.dataset.unit}`;
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }
}

let asked = false, again = false;
async function show() {
  if (asked) { again = true; return; }
  asked = true;
  const started = performance.now();
  shown.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/forecast", { method: "POST", headers: { "x-part": "1" }, body: new URLSearchParams(new FormData(form)) });
    if (answer.ok) shown.innerHTML = await answer.text();  // the server escapes all text
    else shown.textContent = "The page is out of date or the coach has stopped: open the page again.";
  } catch {
    shown.textContent = "The coach has stopped: start it again.";
  }
  shown.setAttribute("aria-busy", "false");
  shown.dataset.milliseconds = String(Math.round(performance.now() - started));
  asked = false;
  if (again) { again = false; show(); }
}

if (form && shown) {
  form.querySelectorAll("input[type=range]").forEach(tell);
  form.addEventListener("input", (event) => {
    if (event.target.type === "range") tell(event.target);
    if (event.target.id === "intake_kcal") document.getElementById("own_intake").checked = true;
    if (event.target.id !== "notes") show();
  });
}
