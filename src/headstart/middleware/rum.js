{
  const [page] = performance.getEntriesByType("navigation");
  const way = page.serverTiming?.find((e) => e.name == "headstart")?.description;
  let due = way && way != "nothing" && !page.activationStart && !document.hidden;
  let lcp = 0;
  const type = "largest-contentful-paint";
  const take = (list) => list.forEach((e) => (lcp = e.startTime));
  const seen = new PerformanceObserver((list) => take(list.getEntries()));
  if (PerformanceObserver.supportedEntryTypes.includes(type)) seen.observe({ type, buffered: true });
  const send = () => {
    if (!due) return;
    due = false;
    take(seen.takeRecords());
    const [fcp] = performance.getEntriesByName("first-contentful-paint");
    const times = [fcp?.startTime, lcp, page.loadEventStart].map((t) => Math.round(t || 0));
    navigator.sendBeacon("/.headstart/rum", [way, ...times, location.pathname].join(" "));
  };
  addEventListener("pagehide", send);
  addEventListener("visibilitychange", () => document.hidden && send());
}
