// A table that is wider than its place can be scrolled with the keys.
function reach() {
  for (const place of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
