// The theme and language a person chose, before anything is painted: the module that knows more comes later.
try {
  var chosen = JSON.parse(localStorage.getItem('parley.preferences') || '{}');
  if (chosen.theme === 'light' || chosen.theme === 'dark') document.documentElement.dataset.theme = chosen.theme;
  if (chosen.language === 'zh' || chosen.language === 'en') document.documentElement.lang = chosen.language;
} catch {
  // Storage may be closed to us, or hold something else: the system's theme it is.
}
