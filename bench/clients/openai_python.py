#!/usr/bin/env python3
"""Uses "idefics2 serve" through the PyPI package openai, unchanged, and fails where it is not as with OpenAI.

    python -m venv V && V/bin/pip install openai
    idefics2 serve & V/bin/python bench/clients/openai_python.py http://127.0.0.1:8090/v1 docs/pictures/colour.png
"""

import base64
import json
import sys

import openai

url, path = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key="any")
picture = "data:image/png;base64," + base64.b64encode(open(path, "rb").read()).decode()
about = [{"role": "user", "content": [
    {"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "What colour is the background?"}]}]
model = client.models.list().data[0].id

whole = client.chat.completions.create(model=model, messages=about, max_tokens=20, logprobs=True, top_logprobs=2)
choice = whole.choices[0]
assert len(choice.logprobs.content) == whole.usage.completion_tokens
print("chat, picture, logprobs:", choice.message.content)

stream = client.chat.completions.create(
    model=model, messages=about, max_tokens=20, stream=True, stream_options={"include_usage": True})
text, usage = "", None
for chunk in stream:
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
    usage = chunk.usage or usage
assert text == choice.message.content and usage.total_tokens == whole.usage.total_tokens
print("stream:", text)

schema = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"], "additionalProperties": False}
form = client.chat.completions.create(model=model, messages=about, max_tokens=60, response_format={
    "type": "json_schema", "json_schema": {"name": "colour", "schema": schema, "strict": True}})
assert json.loads(form.choices[0].message.content)["colour"] in ("red", "green")
print("structured:", form.choices[0].message.content)

call = client.chat.completions.create(
    model=model, messages=about, max_tokens=60, tool_choice="required",
    tools=[{"type": "function", "function": {"name": "paint", "parameters": schema}}]).choices[0]
assert call.finish_reason == "tool_calls" and call.message.tool_calls[0].function.name == "paint"
print("tools:", call.message.tool_calls[0].function.arguments)

for body, kind in ({"audio": {}}, openai.BadRequestError), ({"model": "none"}, openai.NotFoundError):
    try:
        client.chat.completions.create(**({"model": model, "messages": about} | {k: v for k, v in body.items() if k == "model"}),
                                       extra_body={k: v for k, v in body.items() if k != "model"})
        sys.exit(f"{body} was not refused")
    except kind as e:
        print("refused:", e.body["message"])
