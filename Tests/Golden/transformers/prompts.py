"""The 64 prompts of the greedy golden data: (kind, request), the request as an OpenAI batch body carries it.

A string is a plain completion, a list of (role, content) pairs a chat. Kinds are for people who read a failing row.
"""

from pathlib import Path

LONG_STORY = (
    "The harbour master kept three books. In the first he wrote the name of every ship that came in, its flag and "
    "its cargo: timber, salt, oranges, once an elephant. In the second he wrote the weather, four times a day, in a "
    "hand so small that his daughter needed a glass to read it. Nobody knew what he wrote in the third. He carried it "
    "in his coat, wrapped in oilcloth, and when people asked he said that it was not finished yet. On the morning of "
    "the great storm he did not come to the pier. They found the first two books on his desk, closed and squared to "
    "the edge, and the window open. The third book lay on the sill with its pages turning in the wind, and the first "
    "line of it read:"
)

LONG_PROGRAM = '''import heapq
from collections import defaultdict


def shortest_path(edges, start, goal):
    """Dijkstra's algorithm over (from, to, weight) triples."""
    graph = defaultdict(list)
    for source, target, weight in edges:
        graph[source].append((weight, target))
        graph[target].append((weight, source))
    queue, seen = [(0, start, [])], set()
    while queue:
        cost, node, path = heapq.heappop(queue)
        if node in seen:
            continue
        seen.add(node)
        if node == goal:
            return cost, path + [node]
'''

PLAIN = [
    ("one-token", "The"),
    ("one-token", "\n"),
    ("one-token", "7"),
    ("one-character", "é"),
    ("sentence", "The capital of France is"),
    ("sentence", "Once upon a time, in a village at the edge of the forest,"),
    ("sentence", "Water boils at a temperature of"),
    ("sentence", "The three primary colours are red,"),
    ("long", LONG_STORY),
    ("code-python", 'def fibonacci(n: int) -> int:\n    """Return the n-th Fibonacci number."""\n    if n < 2:\n'),
    ("code-python-long", LONG_PROGRAM),
    ("code-c", "#include <stdio.h>\n\nint main(void) {\n\tfor (int i = 0; i < 10; i++) {\n\t\tprintf("),
    ("code-sql", "CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT NOT NULL);\nSELECT state, count(*) FROM"),
    ("code-html", '<!DOCTYPE html>\n<html lang="en">\n<head>\n  <meta charset="utf-8">\n  <title>'),
    ("code-json", '{"name": "Ada", "born": 1815, "fields": ["mathematics", "computing"], "address": {"city":'),
    ("code-swift", "struct Point {\n    var x: Double\n    var y: Double\n\n    func distance(to other: Point) ->"),
    ("code-shell", "#!/bin/sh\nset -eu\nfor f in *.jsonl; do\n  echo \"$f\"\n"),
    ("list", "Shopping list:\n- apples\n- bread\n- milk\n-"),
    ("list", "The days of the week:\n1. Monday\n2. Tuesday\n3. Wednesday\n4."),
    ("table", "| city | country | population |\n|---|---|---|\n| Paris | France | 2,102,650 |\n| Berlin |"),
    ("numbers", ", ".join(str(n * n) for n in range(1, 41))),
    ("numbers", "2, 4, 8, 16, 32, 64, 128,"),
    ("numbers", "3.14159265358979"),
    ("numbers", "12345678901234567890 + 98765432109876543210 ="),
    ("dates", "2024-01-01, 2024-02-01, 2024-03-01, 2024-04-01,"),
    ("translation", "English: Good morning, how are you?\nFrench:"),
    ("translation", "cat -> Katze\ndog -> Hund\nhouse -> Haus\ntree ->"),
    ("french", "Il était une fois une petite fille qui s'appelait Élodie. Elle habitait à côté de la forêt, où"),
    ("german", "Die größte Stadt in Österreich ist Wien. Die Straßen sind schön und die Häuser"),
    ("spanish", "¿Dónde está la biblioteca? El señor Muñoz dice que"),
    ("chinese", "北京是中国的首都，上海是"),
    ("japanese", "むかしむかし、あるところに、おじいさんと"),
    ("arabic", "السلام عليكم ورحمة الله"),
    ("russian", "Москва — столица России. Санкт-Петербург —"),
    ("greek", "Η Αθήνα είναι η πρωτεύουσα της"),
    ("hindi", "भारत की राजधानी नई दिल्ली"),
    ("emoji", "🍎🍌🍇 fruit\n🚗🚌🚲 vehicles\n🐶🐱🐭"),
    ("emoji", "I ❤️ this! 👩‍💻👍🏽🏳️‍🌈"),
    ("whitespace", "   \t\t  leading and   inner    runs\n\n\n\n  of   whitespace \t\r\n   "),
    ("whitespace", "a\n\n\n\n\n\n\n\nb\n\n\n\n\n\n\n\nc\n\n\n\n\n\n\n\n"),
    ("special-tokens", "<|im_start|>user\nName a bird.<|im_end|>\n<|im_start|>assistant\n"),
    ("special-tokens", "One document ends here.<|endoftext|>Another begins:"),
    ("repetition", "ha ha ha ha ha ha ha ha ha ha"),
    ("upper-case", "WARNING: DO NOT OPEN THE DOOR WHEN THE"),
    ("url", "See https://www.example.com/docs/index.html?page=2#section-3 and"),
    ("dialogue", '"Where were you last night?" asked the inspector.\n"I was'),
]

PIRATE = (
    "You are a pirate of the seventeenth century and always answer like one. You know the sea, the stars and the "
    "kitchen of a small ship. Never speak of anything that was invented after the year 1700; if somebody asks about "
    "it, pretend that it is a kind of fish. Keep your answers under one hundred words, do not use lists, and end "
    "every answer with a question to the reader."
)

GARDEN = (
    "Sunflowers need the most sun: six to eight hours a day. Tomatoes are close behind, and beans\n"
    "get by with a little less. Plant the sunflowers on the north side so that they do not shade\n"
    "the others."
)

CHAT = [
    ("question", [("user", "What is the capital of Japan?")]),
    ("question", [("user", "Why is the sky blue? Answer in one sentence.")]),
    ("arithmetic", [("user", "What is 17 + 25?")]),
    ("instruction", [("user", "Write a haiku about the sea.")]),
    ("instruction", [("user", "List three uses of a paper clip.")]),
    ("code", [("user", "Write a Python function that reverses a string.")]),
    ("translation", [("user", "Translate to French: The weather is nice today.")]),
    ("french", [("user", "Quelle est la capitale de l'Italie ?")]),
    ("chinese", [("user", "你好！请用一句话介绍你自己。")]),
    ("arabic", [("user", "ما هي عاصمة مصر؟")]),
    ("emoji", [("user", "😀 What does this mean: 🎂🎉?")]),
    ("one-word", [("user", "Hi")]),
    ("empty-content", [("user", "")]),
    ("whitespace", [("user", "  Keep   my \t spaces,\n\n\n please.  ")]),
    ("system", [("system", PIRATE), ("user", "How do I bake bread?")]),
    ("system", [("system", "Answer with a single number."), ("user", "How many legs does a spider have?")]),
    (
        "multi-turn",
        [
            ("user", "My name is Ingrid."),
            ("assistant", "Nice to meet you, Ingrid! How can I help you today?"),
            ("user", "I want to plant a garden with tomatoes, beans and sunflowers. Which of them need most sun?"),
            ("assistant", GARDEN),
            ("user", "Thank you. And when should I sow each of them?"),
            ("assistant", "- Tomatoes: indoors in March, outside in May\n- Beans: in May\n- Sunflowers: in April"),
            ("user", "What is my name, and which plants did I ask about?"),
        ],
    ),
    (
        "multi-turn-system",
        [
            ("system", "You are a helpful cook. Be brief."),
            ("user", "I have eggs and cheese."),
            ("assistant", "Make an omelette."),
            ("user", "And if I also have two tomatoes?"),
        ],
    ),
]


def requests() -> list[tuple[str, str, dict]]:
    """(id, kind, body) of every prompt; the body holds `prompt` or `messages` and nothing else."""
    rows = [(f"plain-{kind}", {"prompt": text}) for kind, text in PLAIN]
    rows += [
        (f"chat-{kind}", {"messages": [{"role": role, "content": content} for role, content in turns]})
        for kind, turns in CHAT
    ]
    return [(f"g{number:02}", kind, body) for number, (kind, body) in enumerate(rows)]


# For a base model without a chat template. The first two are longer than Gemma's window of 512 tokens.
GEMMA_CONTROL_TOKENS = {
    "<|im_start|>": "<start_of_turn>",
    "<|im_end|>": "<end_of_turn>",
    "<|endoftext|>": "<eos>",
}
NO_TRANSCRIPT = ["one-word", "empty-content"]


def plain_requests() -> list[tuple[str, str, dict]]:
    """(id, kind, body) of 64 plain prompts: texts as above, with chats written as transcripts."""
    rows = [("plain-window", long_text(characters)) for characters in (2_600, 4_400)]
    for kind, text in PLAIN:
        for other, gemma in GEMMA_CONTROL_TOKENS.items():
            text = text.replace(other, gemma)
        rows.append((f"plain-{kind}", text))
    rows += [(f"transcript-{kind}", transcript(turns)) for kind, turns in CHAT if kind not in NO_TRANSCRIPT]
    return [(f"g{number:02}", kind, {"prompt": text}) for number, (kind, text) in enumerate(rows)]


def transcript(turns: list[tuple[str, str]]) -> str:
    return "".join(f"{role.capitalize()}: {content}\n" for role, content in turns) + "Assistant:"


def long_text(characters: int) -> str:
    return (Path(__file__).resolve().parents[3] / "etc/bench/perplexity.txt").read_text()[:characters]
