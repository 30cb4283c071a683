// Runs before the first paint: the chosen theme and language, so that nothing flashes.
(function () {
  try {
    var prefs = JSON.parse(localStorage.getItem("sotto.prefs") || "{}");
    if (prefs.theme === "light" || prefs.theme === "dark") document.documentElement.dataset.theme = prefs.theme;
    if (prefs.language === "en" || prefs.language === "ru") document.documentElement.lang = prefs.language;
  } catch (_) {
    // Without storage the system's theme stays.
  }
})();
