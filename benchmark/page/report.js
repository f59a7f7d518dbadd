// Copying the methods paragraph; without this script it can be selected by hand.
(() => {
  const button = document.querySelector("button.copy");
  const text = document.getElementById("methods");
  const status = document.querySelector(".copied");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      status.textContent = "Copied.";
    } catch {
      // Browsers may refuse the clipboard to a file: select the text instead.
      getSelection().selectAllChildren(text);
      text.focus();
      status.textContent = document.execCommand("copy") ? "Copied." : "Selected: press Ctrl+C.";
    }
  });
})();

// Paper cannot be unfolded.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
