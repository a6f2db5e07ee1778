"""OpenAI's client for Python against a server: URL and key are its arguments."""

import json
import sys

import openai

url, key = sys.argv[1:3]
client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=1)
messages = [{"role": "user", "content": "Hello"}]
schema = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 6}},
    "required": ["city"],
    "additionalProperties": False,
}
tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}


def ask(**more):
    return client.chat.completions.create(model="tiny", messages=messages, **more)


def chat():
    whole = ask(max_tokens=8, seed=1)
    stream = ask(
        max_tokens=8, seed=1, stream=True, stream_options={"include_usage": True}
    )
    text, usage = "", None
    for chunk in stream:
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content
    assert usage.total_tokens == whole.usage.total_tokens
    scored = ask(max_tokens=3, logprobs=True, top_logprobs=2)
    for token in scored.choices[0].logprobs.content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 2


def tools():
    called = ask(tools=[tool], tool_choice="required", temperature=1.2)
    (call,) = called.choices[0].message.tool_calls
    assert call.function.name == "weather"
    json.loads(call.function.arguments)
    assert called.choices[0].finish_reason == "tool_calls"


def schemas():
    answer = ask(
        temperature=1.2,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "place", "schema": schema, "strict": True},
        },
    )
    assert list(json.loads(answer.choices[0].message.content)) == ["city"]


def others():
    assert [m.id for m in client.models.list()] == ["tiny"]
    text = client.completions.create(model="tiny", prompt="Once", max_tokens=3)
    assert text.choices[0].text is not None
    vectors = client.embeddings.create(model="tiny", input=["a", "b"])
    assert len(vectors.data) == 2 and len(vectors.data[0].embedding) == 32
    response = client.responses.create(model="tiny", input="Hi", max_output_tokens=4)
    assert isinstance(response.output_text, str)


def errors():
    for error, more in [
        (openai.BadRequestError, {"temperature": 9}),
        (openai.BadRequestError, {"extra_body": {"grammar": "x"}}),
    ]:
        try:
            ask(**more)
            raise AssertionError(more)
        except error as e:
            assert e.status_code == 400 and e.param in ("temperature", "grammar")
    try:
        client.with_options(api_key="wrong-key").models.retrieve("tiny")
        raise AssertionError("a wrong key was taken")
    except openai.AuthenticationError as e:
        assert e.code == "invalid_api_key"


def abort():
    stream = ask(max_tokens=4000, stream=True, extra_body={"ignore_eos": True})
    for _ in stream:
        stream.close()
        break
    try:
        client.with_options(timeout=0.1, max_retries=0).chat.completions.create(
            model="tiny",
            messages=messages,
            max_tokens=4000,
            extra_body={"ignore_eos": True},
        )
        raise AssertionError("it was to take longer")
    except openai.APITimeoutError:
        pass


for step in [chat, tools, schemas, others, errors, abort]:
    step()
    print(step.__name__)
