// Runs before the first paint, so that the chosen theme does not flash.
try {
  const chosen = JSON.parse(localStorage.getItem("project-manager:theme") ?? "null");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  delete document.documentElement.dataset.theme;
}
