// The page's life: a list of turns, drawn anew from it. Model text is only ever text nodes.
const $ = id => document.getElementById(id);
const stored = name => { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } };
let turns = stored("turns") ?? []; // {role, text, images: [data URLs], tokens, error, note}
let waiting = [];                  // pictures to send: {url, note}
let running = null;                // AbortController of the answer that is being written

const settings = ["temperature", "max-tokens", "split", "logprobs", "system"];
for (const id of settings) {
  const kept = stored("set." + id), field = $(id);
  if (kept !== null) field.type === "checkbox" ? field.checked = kept : field.value = kept;
  field.addEventListener("change", () => {
    localStorage.setItem("set." + id, JSON.stringify(field.type === "checkbox" ? field.checked : field.value));
    if (id === "split") waiting.forEach(price);
  });
}

const headers = () => ({ "Content-Type": "application/json", ...($("key").value && { Authorization: "Bearer " + $("key").value }) });
const post = (path, body, signal) => fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(body), signal });

function el(tag, attributes = {}, ...children) {
  const e = Object.assign(document.createElement(tag), attributes);
  e.append(...children);
  return e;
}

function save() {
  try { localStorage.setItem("turns", JSON.stringify(turns.map(({ tokens, ...rest }) => rest))); } catch { /* pictures may be too large to keep */ }
}

function draw() {
  const talk = $("talk");
  $("hello").hidden = turns.length > 0;
  talk.querySelectorAll("article").forEach(a => a.remove());
  turns.forEach((turn, i) => talk.append(article(turn, i)));
  talk.scrollTop = talk.scrollHeight;
  $("send").textContent = running ? "Stop" : "Send";
}

function article(turn, i) {
  const a = el("article", { className: turn.role });
  if (turn.images?.length) a.append(el("div", { className: "shots" }, ...turn.images.map(url => el("figure", {}, el("img", { src: url, alt: "sent picture" })))));
  const text = el("div", { className: "text" });
  fill(text, turn);
  if (running && i === turns.length - 1) text.classList.add("busy");
  a.append(text);
  if (turn.error) a.append(el("p", { className: "error", role: "alert", textContent: turn.error }));
  if (running) return a;
  const tools = el("div", { className: "tools" });
  if (turn.role === "user") tools.append(button("Edit", () => edit(i)));
  else tools.append(button("Copy", () => navigator.clipboard.writeText(turn.text)), button("Again", () => { turns.length = i; answer(); }), turn.note ?? "");
  a.append(tools);
  return a;
}

const button = (label, onclick) => el("button", { type: "button", textContent: label, onclick });

// fill writes a turn's text; where log-probabilities are there, unsure words are tinted.
function fill(to, turn) {
  if (!turn.tokens?.length) { to.textContent = turn.text; return; }
  to.replaceChildren(...turn.tokens.map(t => {
    const p = Math.exp(t.logprob);
    const top = (t.top_logprobs ?? []).map(o => `${JSON.stringify(o.token)} ${(100 * Math.exp(o.logprob)).toFixed(1)} %`).join("\n");
    return el("span", { className: "token" + (p > .9 ? "" : p > .6 ? " p1" : p > .3 ? " p2" : " p3"), title: `${(100 * p).toFixed(1)} %\n${top}`, textContent: t.token.startsWith("<") && t.token.endsWith(">") ? "" : t.token });
  }));
}

function edit(i) {
  const turn = turns[i];
  turns.length = i;
  $("question").value = turn.text;
  waiting = (turn.images ?? []).map(url => ({ url }));
  waiting.forEach(price);
  save(); draw(); shots(); $("question").focus();
}

function messages() {
  const out = [];
  if ($("system").value.trim()) out.push({ role: "system", content: $("system").value });
  for (const t of turns) {
    const images = (t.images ?? []).map(url => ({ type: "image_url", image_url: { url } }));
    out.push({ role: t.role, content: images.length ? [...images, { type: "text", text: t.text }] : t.text });
  }
  return out;
}

async function answer() {
  const body = { model: $("model").value, messages: messages(), stream: true, stream_options: { include_usage: true },
    temperature: +$("temperature").value, max_tokens: +$("max-tokens").value };
  if (turns.some(t => t.images?.length)) body.split = $("split").checked;
  if ($("logprobs").checked) Object.assign(body, { logprobs: true, top_logprobs: 5 });
  const turn = { role: "assistant", text: "", tokens: [] };
  turns.push(turn);
  running = new AbortController();
  draw();
  const start = performance.now();
  const text = $("talk").lastElementChild.querySelector(".text");
  try {
    const response = await post("/v1/chat/completions", body, running.signal);
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      if (event.usage) turn.note = `${event.usage.prompt_tokens} + ${event.usage.completion_tokens} tokens, ${((performance.now() - start) / 1000).toFixed(1)} s`;
      const choice = event.choices[0];
      if (!choice) continue;
      turn.text += choice.delta.content ?? "";
      turn.tokens.push(...(choice.logprobs?.content ?? []));
      const low = $("talk").scrollHeight - $("talk").scrollTop - $("talk").clientHeight < 80;
      fill(text, turn);
      if (low) $("talk").scrollTop = $("talk").scrollHeight;
    }
  } catch (e) {
    if (e.name !== "AbortError") turn.error = e.message;
    else turn.note = "stopped";
  }
  running = null;
  save(); draw();
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (held + value).split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

// Pictures.
async function add(files) {
  for (const file of files) {
    if (!file.type.startsWith("image/")) continue;
    const url = await new Promise((ok, no) => { const r = new FileReader(); r.onload = () => ok(r.result); r.onerror = no; r.readAsDataURL(file); });
    const picture = { url };
    waiting.push(picture);
    price(picture);
  }
  shots();
}

// price tells what the model will see of a picture, before it is sent.
async function price(picture) {
  try {
    const response = await post("/v1/images/estimate", { model: $("model").value, image: picture.url, split: $("split").checked });
    const e = await response.json();
    picture.note = response.ok ? `${e.width}×${e.height} → ${e.crops.length > 1 ? e.crops.length + " crops" : e.crops[0].width + "×" + e.crops[0].height}, ${e.tokens} tokens` : e.error.message;
  } catch { picture.note = ""; }
  shots();
}

function shots() {
  $("pictures").replaceChildren(...waiting.map((p, i) => el("figure", {}, el("img", { src: p.url, alt: "picture to send" }),
    el("figcaption", { textContent: p.note ?? "" }), el("button", { type: "button", textContent: "×", ariaLabel: "Remove", onclick: () => { waiting.splice(i, 1); shots(); } }))));
}

$("ask").addEventListener("submit", e => {
  e.preventDefault();
  if (running) { running.abort(); return; }
  const text = $("question").value.trim();
  if (!text && !waiting.length) return;
  turns.push({ role: "user", text, images: waiting.map(p => p.url) });
  waiting = []; $("question").value = ""; $("question").rows = 1;
  shots(); save(); answer();
});
$("question").addEventListener("keydown", e => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); $("ask").requestSubmit(); } });
$("question").addEventListener("input", e => { e.target.style.height = ""; e.target.rows = Math.min(8, e.target.value.split("\n").length); });
$("file").addEventListener("change", e => { add(e.target.files); e.target.value = ""; });
document.addEventListener("paste", e => add(e.clipboardData.files));
document.addEventListener("dragover", e => { e.preventDefault(); document.body.classList.add("over"); });
document.addEventListener("dragleave", e => { if (!e.relatedTarget) document.body.classList.remove("over"); });
document.addEventListener("drop", e => { e.preventDefault(); document.body.classList.remove("over"); add(e.dataTransfer.files); });
$("new").addEventListener("click", () => { running?.abort(); turns = []; waiting = []; save(); shots(); draw(); $("question").focus(); });
$("settings-open").addEventListener("click", e => { const s = $("settings"); s.hidden = !s.hidden; e.target.setAttribute("aria-expanded", !s.hidden); });
$("key").addEventListener("change", models);

async function models() {
  const response = await fetch("/v1/models", { headers: headers() });
  const body = await response.json();
  if (!response.ok) { $("settings").hidden = false; $("key").focus(); return; }
  $("model").replaceChildren(...body.data.map(m => el("option", { value: m.id, textContent: m.id })));
}
models(); draw();
