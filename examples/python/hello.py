"""Says hello in a cow's words: a function with one real dependency."""

import cowsay


def handler(event, context):
    name = event["data"].get("name", "world") if isinstance(event["data"], dict) else "world"
    return cowsay.get_output_string("cow", f"Hello, {name}! This is {context['function-name']}.") + "\n"
