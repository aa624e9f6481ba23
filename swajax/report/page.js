"use strict";

function copyFrom(button) {
  const text = button.parentElement.querySelector("pre");
  const select = () => getSelection().selectAllChildren(text);
  const done = () => { button.textContent = "Copied"; };
  if (!navigator.clipboard) { select(); return; }
  navigator.clipboard.writeText(text.textContent).then(done, select);
}

function chooseByAddress() {
  const radio = document.getElementById(location.hash.slice(1));
  if (radio && radio.name === "size") radio.checked = true;
}

for (const button of document.querySelectorAll(".copy button")) {
  button.hidden = false;
  button.addEventListener("click", () => copyFrom(button));
}
for (const radio of document.querySelectorAll("input[name=size]")) {
  radio.addEventListener("change", () => history.replaceState(null, "", "#" + radio.id));
}
addEventListener("hashchange", chooseByAddress);
chooseByAddress();
