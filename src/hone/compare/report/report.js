// Comfort only: the page is complete without it. Sorts tables, copies commands, opens everything for print.
(() => {
  for (const head of document.querySelectorAll("table.sortable thead th")) {
    const column = head.cellIndex;
    const button = document.createElement("button");
    button.type = "button";
    while (head.firstChild && !(head.firstChild.nodeType === 1 && head.firstChild.matches("svg"))) button.append(head.firstChild);
    head.prepend(button);
    button.addEventListener("click", () => {
      const body = head.closest("table").tBodies[0];
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        const both = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        return both ? x - y : x.localeCompare(y);
      };
      body.append(...[...body.rows].sort((a, b) => (ascending ? order(a, b) : order(b, a))));
    });
  }
  for (const block of document.querySelectorAll("pre.command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.querySelector("code").textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(block.querySelector("code"));
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    block.append(button);
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => closed.forEach((each) => (each.open = false)));
})();
