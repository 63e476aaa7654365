"""What a model is told of an MCP server's answer."""

import mcp_types

from agents.errors import ToolError
from agents.tools.answer import MAX_OUTPUT_CHARS


def told(result: mcp_types.CallToolResult) -> object:
    """Its structured content where there is one, else its texts, with other content named. ToolError for a failure."""
    if result.is_error:
        raise ToolError(_text(result) or "the server says that it failed, and not why")
    return _text(result) if result.structured_content is None else result.structured_content


def _text(result: mcp_types.CallToolResult) -> str:
    return "\n".join(words for block in result.content if (words := _words(block)))[: MAX_OUTPUT_CHARS + 1]


def _words(block: mcp_types.ContentBlock) -> str:
    match block:
        case mcp_types.TextContent(text=text):
            return text
        case mcp_types.EmbeddedResource(resource=mcp_types.TextResourceContents(text=text)):
            return text
        case mcp_types.ResourceLink(uri=uri):
            return f"[resource {uri}]"
        case _:
            return f"[{block.type}]"
