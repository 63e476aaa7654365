"""The contract of the seeds, statement by statement, with the tests that hold it and say it in their own names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent

TABLE = """
# Session and connection

1. id is None before connect and the provider's after session.created
    session: test_id_is_none_before_connect_and_the_providers_after_session_created
2. agent, model, channel and context can be read; a model option wins
    session: test_agent_model_channel_and_context_are_exposed_and_a_model_option_wins
3. a channel and a transport that handles audio exclude each other
    session: test_a_transport_that_handles_audio_takes_no_channel
4. a missing key is named by its variable before any socket
    openai: test_a_missing_key_is_named_before_any_socket_is_opened
    provider_contract: test_a_missing_key_is_named_before_there_is_a_socket
5. credentials: session, then connect option, then key
    session: test_credentials_win_in_the_order_session_connect_option_key
    openai: test_the_credential_comes_before_the_options_key_and_that_before_the_models
6. a URL credential is refused by its kind where tokens are wanted, an expired one everywhere
    openai: test_a_url_credential_is_refused_by_its_kind
    provider_contract: test_an_expired_credential_is_refused_before_there_is_a_socket
7. an abort before, while and after connecting
    socket: test_an_abort_set_before_connecting_opens_no_socket
    socket: test_an_abort_while_connecting_closes_the_socket_and_raises
    socket: test_an_abort_after_opening_changes_nothing
    provider_contract: test_a_connection_that_was_aborted_before_is_not_opened
8. a model connects again and again; each session has its own id, mute flag and ledger
    openai: test_a_model_can_be_connected_repeatedly_and_each_session_has_its_own_id
    session_contract: test_sessions_of_one_model_have_an_id_a_mute_flag_and_a_ledger_of_their_own
9. connecting, connected, closed; who comes late still hears connected
    session: test_status_goes_connecting_connected_closed_and_a_late_listener_still_gets_connected
10. overlapping connects raise; a failed one can be tried again, with single listeners
    session: test_overlapping_connects_raise_and_a_second_one_after_the_first_does_nothing
    session: test_a_failed_connect_leaves_the_session_retryable_and_listeners_single
11. close works before connect, twice, inside a handler; the channel closes first
    session: test_close_is_safe_before_connect_twice_and_while_connecting
    session: test_close_inside_a_listener_ends_the_session
    session: test_the_channel_is_closed_before_the_connection_and_no_handler_fires_after_close
12. after close no handler fires, no task survives, late results are discarded
    session: test_the_channel_is_closed_before_the_connection_and_no_handler_fires_after_close
    tool_calls: test_after_the_end_no_result_is_sent_or_told_not_even_of_a_tool_that_takes_no_notice_of_it
    guardrails: test_late_guardrail_results_are_discarded_after_close
13. sending before connect raises, after the end does nothing
    session: test_sending_before_connect_raises_and_after_the_end_does_nothing
14. a sync or async key function is asked at each connect, and its key shown nowhere
    openai: test_a_sync_and_an_async_key_function_are_asked_at_each_connect
    provider_contract: test_a_function_is_asked_for_the_key_at_each_connect
    session_contract: test_a_lazy_key_is_in_no_log_no_repr_and_no_error
    socket: test_the_key_is_not_logged_even_when_everything_is
15. a handle resumes or is refused
    provider_contract: test_a_handle_is_refused_where_there_are_none
    lasting: test_a_session_is_resumed_by_the_latest_handle_and_what_waits_is_sent
16. provider options reach the wire
    openai: test_provider_options_reach_the_address_beside_the_model
    openai_wire: test_provider_options_are_merged_last_and_deep

# Session config

17. the first message is the whole configuration
    openai: test_the_first_client_message_is_the_whole_session_configuration
    session: test_the_first_message_has_instructions_tools_and_the_config_option_over_the_agents
18. instructions are a text, or a sync or async function asked once per connect
    session: test_instructions_may_be_a_sync_or_async_function_called_once_per_connect
19. every field of turn detection is forwarded; manual is none; None and unset differ
    openai_wire: test_every_field_of_turn_detection_is_forwarded_and_manual_means_none
    openai_wire: test_what_is_unset_is_absent_and_not_null
20. PCM16 at 24 kHz unless declared; what is declared survives update, handoff and another connection
    openai_wire: test_a_bare_configuration_sends_formats_and_nothing_that_nobody_set
    openai_wire: test_declared_formats_stand_in_every_session_update
    handoffs: test_the_declared_audio_formats_survive_a_handoff
    lasting: test_the_declared_audio_formats_survive_a_change_of_connections
21. transcription is set, defaulted or disabled
    openai_wire: test_transcription_can_be_set_defaulted_and_disabled
22. tool choice, modalities and speed reach the wire
    openai_wire: test_instructions_tools_choice_modalities_voice_speed_and_length_reach_the_wire
23. disabled tools are neither told nor run; names that clash are refused and listed
    tool_rules: test_a_disabled_tool_is_neither_advertised_nor_dispatched
    agent: test_duplicate_tool_names_raise_and_are_listed
    handoffs: test_a_tool_and_a_handoff_of_one_name_are_refused_and_named
24. an unknown voice is an error and no other voice
    openai: test_an_unknown_voice_is_a_fault_that_lists_the_voices_and_python_asks_for_it_by_its_own_name

# Audio in

25. channel audio is appended once, unchanged, in order
    session: test_channel_audio_reaches_the_model_once_in_order_and_unchanged
26. commit() commits; with voice detection nothing else does
    session_contract: test_commit_sends_one_commit_and_with_voice_detection_none_is_sent_by_itself
27. mute keeps audio from the provider, unmute resumes, both twice over
    session: test_mute_keeps_audio_from_the_model_and_unmute_resumes
    provider_contract: test_a_muted_caller_is_not_heard_and_is_heard_again_later
28. muting in mid-speech leaves no turn open
    session: test_muting_in_mid_speech_sends_silence_until_the_model_noticed_the_end
29. a text message asks for a response unless told not to
    session: test_send_message_adds_a_user_item_and_requests_a_response_unless_told_not_to
30. audio with commit appends, then commits
    session: test_send_audio_with_commit_appends_and_then_commits

# Events

31. audio, transcript, text, error and status
    session_contract: test_the_five_documented_events_are_told_audio_transcript_text_error_and_status
32. unknown provider events are raw events
    session: test_unknown_provider_events_are_visible_as_raw
    provider_contract: test_what_nobody_understands_is_shown_and_ends_nothing
33. malformed JSON is an error event and the session goes on
    socket: test_a_malformed_message_is_an_error_event_and_the_conversation_goes_on
    openai_exchange: test_malformed_json_from_the_server_is_an_error_event_and_the_session_goes_on
34. a listener that raises hurts nobody
    session: test_a_listener_that_raises_hurts_neither_the_others_nor_the_call
    emitter: test_a_listener_that_raises_does_not_prevent_the_others
35. off removes, once fires once, emit tells whether anyone listened
    emitter: test_off_removes_a_function
    emitter: test_once_fires_once
    emitter: test_once_can_be_removed_before_it_fires
    emitter: test_emit_returns_whether_anyone_listened
36. audio_start once per turn, audio_stopped when generated, another event when heard
    audio_turns: test_audio_start_comes_once_per_turn_audio_stopped_when_generated_and_audio_heard_when_played
37. the end of a response has status and usage; usage is summed, cancelled ones too
    session_contract: test_the_end_of_a_response_tells_its_status_and_usage_and_the_sum_counts_cancelled_ones
    provider_contract: test_what_a_call_has_used_is_the_sum_of_its_responses
38. a server error does not end the session
    session: test_a_server_error_does_not_end_the_session_and_a_benign_one_is_not_told

# Tools and handoffs

39. a known tool gets parsed arguments and the context; its output has the call's id
    tools: test_a_known_tool_gets_parsed_arguments_and_the_session_context
    session: test_a_tool_is_answered_with_its_call_id_and_exactly_one_response_follows_the_last_result
40. results are JSON, text stays, None is null
    tools: test_other_results_are_sent_as_json_and_none_as_null
    tools: test_a_text_stays_unchanged
41. an unknown tool is an error output that names it
    tool_calls: test_an_unknown_tool_is_an_error_output_that_names_it_and_the_session_goes_on
42. what fails is an error output by the formatter, or a general one
    tools: test_arguments_that_do_not_fit_are_an_error_output
    tools: test_any_other_exception_is_logged_and_hidden_from_the_model
    tool_calls: test_an_error_formatter_words_what_the_model_reads_and_one_that_raises_is_not_used
43. calls of one response run side by side and delay nothing
    tool_calls: test_two_calls_of_one_response_run_at_the_same_time_and_a_slow_one_delays_neither_audio_nor_barge_in
    provider_contract: test_a_slow_tool_holds_up_neither_audio_nor_the_answer
44. one response follows the last answer, never while one is active
    tool_calls: test_exactly_one_response_is_asked_for_when_the_last_outstanding_call_is_answered
    tool_calls: test_no_response_is_asked_for_while_one_is_active_and_one_when_it_is_done
45. a background result asks for no response
    tool_calls: test_a_background_result_is_sent_and_no_response_is_asked_for
46. a timeout is an output, or an error event
    tool_rules: test_a_tool_timeout_yields_a_timeout_output_and_a_response
    tool_rules: test_in_raise_mode_a_tool_timeout_is_an_error_event_and_the_model_is_told_nothing
47. a call id runs once; with other arguments it is reported
    tool_calls: test_a_repeated_call_id_with_the_same_arguments_does_not_execute_twice
    tool_calls: test_a_repeated_call_id_with_different_arguments_is_reported_and_not_run
48. nothing of a call that needs approval happens before somebody decides
    tool_rules: test_a_tool_that_needs_approval_is_not_executed_and_nothing_is_sent_until_somebody_decides
    tool_rules: test_an_approved_call_runs_and_is_answered
    tool_rules: test_a_rejected_call_is_answered_with_the_text_and_a_response_follows
49. approval on a session that is over is refused
    tool_rules: test_approval_of_an_unknown_or_decided_call_and_of_a_session_that_is_over_is_refused
50. hang-up cancels tools and awaits that
    tool_calls: test_tools_are_cancelled_at_hang_up_and_the_cancellation_is_awaited
51. a tool's history is a deep copy
    tool_calls: test_a_tool_sees_a_deep_copy_of_the_history_and_changing_it_alters_nothing
52. a handoff swaps instructions and tools by session.update and keeps the conversation
    handoffs: test_a_handoff_swaps_instructions_and_tools_by_session_update_emits_from_and_to_and_keeps_the_conversation
    handoffs: test_the_declared_audio_formats_survive_a_handoff

# Interruption and truncation

53. a voice over playback clears, truncates and is told
    interruption: test_a_voice_over_an_active_response_clears_and_truncates_and_leaves_cancelling_to_the_model
54. a voice over nothing does nothing
    interruption: test_a_voice_with_nothing_playing_and_no_response_sends_and_tells_nothing
55. a voice after the response's end clears and truncates, and does not cancel
    interruption: test_a_voice_after_the_end_of_a_response_that_still_plays_clears_and_truncates_and_does_not_cancel
56. a position is whole, and not beyond what was sent
    interruption: test_a_position_is_a_whole_number_of_milliseconds_between_nothing_and_what_was_sent
57. a position follows from what was sent and acknowledged
    playback: test_with_100_ms_acknowledged_and_200_ms_sent_150_ms_are_heard_50_ms_later
    playback: test_with_nothing_acknowledged_and_100_ms_sent_50_ms_are_heard_50_ms_later
    playback: test_of_20_125_ms_sent_and_acknowledged_20_are_heard
58. of two queued items the second is truncated at 0
    interruption: test_of_two_items_on_the_line_the_first_is_truncated_where_it_was_heard_and_the_second_at_zero
59. two interrupts clear, cancel and truncate once
    interruption: test_two_interrupts_in_a_row_clear_cancel_truncate_and_tell_once
60. late deltas of a stopped response go nowhere
    interruption: test_audio_that_comes_of_a_stopped_response_is_neither_played_nor_told
61. marks returned because of a clear do not count as played
    playback: test_marks_returned_because_of_clear_do_not_count_as_played
    playback: test_an_item_goes_on_from_0_after_a_clear
62. interrupt() goes the same way as a voice
    interruption: test_the_line_is_cleared_then_the_response_cancelled_then_the_item_truncated
63. interrupt_response: False leaves interrupt() alone
    interruption: test_interrupt_response_false_lets_no_voice_stop_the_agent_but_interrupt_and_the_stop_button_do
64. a model without cancel and truncate is silent all the same
    interruption: test_a_model_without_cancel_and_truncate_is_silent_on_the_phone_all_the_same
65. the phone is cleared before the model is told
    session: test_the_line_is_silenced_before_the_model_is_told

# Response sequencing, greeting

66. never two requests in flight; plain ones merge, those with words stay ordered
    session: test_two_response_creates_are_never_in_flight_and_plain_requests_merge
    sequencer: test_requests_with_words_of_their_own_stay_ordered_and_come_before_a_plain_one
67. a refused request frees the slot
    session: test_a_refused_request_frees_the_slot_and_is_repeated_after_the_models_own_response
    sequencer: test_a_request_that_the_model_refused_frees_the_slot
68. a greeting is asked for once, when line and config are there, and by no later connection
    session: test_the_greeting_is_requested_once_after_the_line_and_the_config_are_there
    session: test_without_a_greeting_the_agent_waits
    three_hours: test_a_call_of_three_hours_loses_no_audio_keeps_its_history_and_greets_once

# Guardrails

69. debounce: two interim runs and a final one, only the final one, or refused
    guardrails: test_with_debounce_100_and_250_chars_there_are_two_interim_runs_plus_one_final
    guardrails: test_with_debounce_minus_1_there_is_only_the_final_run
    guardrails_growing: test_other_numbers_are_refused
70. a trip is told once, interrupts, is fed back once, and another response follows
    guardrails: test_a_trip_emits_once_with_the_item_id_interrupts_sends_feedback_once_and_a_new_response_follows
71. a late result does not cut a newer response
    guardrails: test_a_late_result_for_an_older_response_emits_but_does_not_cut_the_newer_one
72. a guardrail that raises is an error event and speech goes on
    guardrails: test_a_guardrail_that_raises_gives_an_error_event_and_speech_goes_on

# History and tracing

73. history_updated with nothing after connect; items go after their predecessor and keep their place
    update_history: test_after_connect_history_updated_is_told_with_nothing_in_it
    history: test_items_go_after_the_one_the_model_names
    history: test_a_turn_of_the_callers_takes_its_place_when_it_starts_and_its_words_come_late
74. no audio in the history unless it is stored
    history_audio: test_audio_payloads_are_absent_unless_they_are_stored
    history_audio: test_a_session_keeps_the_audio_of_both_sides_only_with_history_store_audio
75. late words fill their item, deleted items vanish, cut ones keep text and what was heard
    history: test_a_turn_of_the_callers_takes_its_place_when_it_starts_and_its_words_come_late
    interruption: test_a_deleted_item_vanishes_from_the_history_and_is_told_once
    history: test_an_item_cut_while_it_plays_keeps_its_text_and_says_how_much_was_heard
76. update_history deletes first, and refuses the agent's audio before it sends anything
    update_history: test_update_history_sends_deletes_before_creates_and_tells_observers
    update_history: test_update_history_refuses_the_agents_audio_before_anything_is_sent
77. tracing: disabled is null, a workflow an object, a group alone a warning
    tracing_told: test_tracing_disabled_is_null_on_the_providers_wire
    tracing_told: test_a_workflow_name_is_an_object_with_group_and_metadata_on_the_providers_wire
    tracing_told: test_a_group_or_metadata_without_a_workflow_name_is_warned_of_and_the_provider_traces_as_it_likes
"""
"""Under each statement its tests, by module: `session: test_x` is `test_x` in tests/test_session.py."""

STATEMENT = re.compile(r"^(\d+)\. (.+)\n((?:    \w+: \w+\n)*)", re.MULTILINE)
STATEMENTS = {int(number): re.findall(r"(\w+): (\w+)", tests) for number, _, tests in STATEMENT.findall(TABLE)}


@cache
def names_in(module: str) -> frozenset[str]:
    """The names of all tests of a module."""
    tree = ast.parse((HERE / f"test_{module}.py").read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_no_statement_is_missing() -> None:
    assert list(STATEMENTS) == list(range(1, 78))
    assert sum(map(len, STATEMENTS.values())) == TABLE.count(": test_")


@pytest.mark.parametrize("number", STATEMENTS)
def test_each_statement_has_tests_that_are_there(number: int) -> None:
    absent = [f"{module}: {name}" for module, name in STATEMENTS[number] if name not in names_in(module)]

    assert STATEMENTS[number]
    assert absent == []
