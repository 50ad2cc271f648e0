// Takes the token from the address, where no server log and no history keeps it, and has it made a cookie.
const token = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", "/pair");
const say = (what, todo) => {
  document.getElementById("says").textContent = what;
  document.getElementById("do").textContent = todo;
};
if (!token) {
  say("This link is not complete", "Open the whole link, with what stands behind the #.");
} else {
  fetch("/api/v1/pair", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) })
    .then((r) => {
      if (r.ok) location.replace("/");
      else if (r.status === 401) say("This link is not valid", "It may have been replaced or ended. Make a new one on the room’s computer: roomd token create NAME");
      else say("The room could not sign this tablet in", "Try the link again.");
    })
    .catch(() => say("The room does not answer", "Check that this tablet is on the room’s network, then open the link again."));
}
