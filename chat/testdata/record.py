"""Record what transformers makes of templates.txt over conversations.json, and of the
templates in snippets.jsonl, which it writes anew.

usage: record.py            (in this folder; needs transformers and jinja2; transformers 4.57.3 and jinja2 3.1.6 were used)
"""
import json
from datetime import datetime
from transformers.utils import chat_template_utils as ctu


class Noon(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 4, 12, 30, 5)


ctu.datetime = Noon


def render(template, variables):
    try:
        return {"rendered": ctu._compile_jinja_template(template).render(**variables)}
    except Exception as e:
        return {"error": type(e).__name__}


conversations = json.load(open("conversations.json"))
with open("templates.jsonl", "w") as out:
    for part in open("templates.txt").read().split("=== ")[1:]:
        name, template = part.split("\n", 1)
        for c in conversations:
            row = {"template": name, "conversation": c["name"], **render(template.removesuffix("\n"), c["vars"])}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")

variables = json.load(open("snippets.json"))
snippets = [json.loads(line)["template"] for line in open("snippets.jsonl")]
with open("snippets.jsonl", "w") as out:
    for snippet in snippets:
        row = {"template": snippet, **render(snippet, variables)}
        if " at 0x" not in row.get("rendered", ""):  # an address in memory
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
