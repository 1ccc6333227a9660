// Before anything is painted: the theme that was chosen here; without a choice the system's.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the system's theme is the only one.
}
