"""How is a request written for a server, and how is its answer read? As OpenAI's protocol has it.

`POST /v1/chat/completions`, which vLLM, llama.cpp, Ollama and most hosts speak, too; a line of a
batch file has the same body and the same answer.
"""

from __future__ import annotations

import json
from typing import Any

from etalage.language.request import Failure, Request, Result, Usage
from etalage.language.texts import readable
from etalage.language.wire import Trouble

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"


def chat_body(request: Request, model: str) -> dict[str, Any]:
    """Returns the body that asks a model, by the name that the server has for it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": said.role, "content": said.content} for said in request.messages],
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "max_tokens": request.sampling.max_tokens,
        "seed": request.sampling.seed,
    }
    if request.schema:
        form = {"name": "answer", "strict": True, "schema": json.loads(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def read_chat(
    request: Request, body: dict[str, Any], seconds: float = 0.0, tries: int = 1
) -> Result | Failure:
    """Returns what a body says; a failure where it is an answer without text.

    Raises:
        Trouble: when the body is no answer at all.
    """
    try:
        choice = body["choices"][0]
        text = choice["message"]["content"] or ""
        finish_reason = str(choice.get("finish_reason") or "")
        usage = _usage(body.get("usage"))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        said = json.dumps(body)[:120]
        raise Trouble("broken", f"an answer that is no chat completion: {said}") from error
    if not isinstance(text, str) or not text.strip():
        why = f" ({finish_reason})" if finish_reason else ""
        return Failure(request, f"the answer is empty{why}", tries, usage)
    model = str(body.get("model") or "")
    return Result(request, readable([text])[0], finish_reason, usage, model, seconds, tries)


def _usage(said: Any) -> Usage | None:
    """What was counted; None unless both numbers are there."""
    counts = said or {}
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):
        return Usage(prompt, completion)
    return None
