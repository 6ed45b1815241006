"""What users of LangChain's chat models suffer from, and the test that shows it does not happen.

The numbers are those of the list that the tests were written against; the thread upstream is named
in the test's docstring. ``MODEL`` is held by the chat model's tests, ``AROUND`` by those of
parsers, middleware, and models that are wrapped.
"""

from __future__ import annotations

from typing import Final

#: number -> test, in tests/unit_tests/test_complaints.py
MODEL: Final[dict[int, str]] = {
    1: "test_reasoning_content_of_a_server_arrives",
    2: "test_the_same_behind_a_compatible_endpoint",
    3: "test_reasoning_details_arrive",
    4: "test_reasoning_arrives_while_streaming",
    5: "test_the_other_field_name_arrives",
    6: "test_a_completions_endpoint_loses_no_reasoning",
    7: "test_both_names_of_the_field_are_read_and_told_once",
    8: "test_stream_and_invoke_have_the_same_blocks",
    9: "test_no_reasoning_hides_in_additional_kwargs",
    11: "test_an_empty_think_block_leaves_the_json_alone",
    12: "test_the_answer_is_not_part_of_the_thinking",
    13: "test_hidden_thinking_leaves_no_tags",
    16: "test_events_v3_keep_reasoning_beside_a_tool_call",
    17: "test_one_block_for_a_section_not_one_for_a_token",
    18: "test_reasoning_and_text_do_not_share_an_index",
    19: "test_text_and_a_tool_call_do_not_share_an_index",
    20: "test_signatures_survive_events_v3",
    23: "test_usage_comes_once",
    24: "test_running_totals_are_not_summed",
    25: "test_usage_sent_twice_counts_once",
    27: "test_the_exact_counter_takes_reasoning_blocks",
    28: "test_usage_is_there_on_streams_of_a_custom_endpoint",
    30: "test_a_tool_call_inside_thinking_is_reported_not_executed",
    31: "test_thinking_and_tools_together_give_both",
    32: "test_a_planned_call_is_not_taken_for_one",
    33: "test_a_call_that_is_only_thought_of_is_no_call",
    34: "test_the_second_turn_with_tools_sends_its_reasoning_field",
    35: "test_the_field_goes_back_after_streaming_too",
    36: "test_reasoning_items_go_back_as_a_pair_or_not_at_all",
    37: "test_signed_blocks_go_back_byte_exact",
}

#: number -> test, elsewhere under tests/
AROUND: Final[dict[int, str]] = {
    10: "test_tags_in_tool_arguments_stay_there",
    14: "test_tags_are_gone_before_json_is_read",
    15: "test_text_before_the_thinking_is_kept",
    21: "test_leaving_a_parsed_stream_closes_what_it_reads",
    22: "test_streams_are_read_live_and_closed_early",
    26: "test_what_is_not_told_is_counted_and_reasoning_is_not_its_repr",
    29: "test_a_parser_s_complaint_goes_back_and_its_object_is_the_result",
    38: "test_no_cut_parts_a_call_from_its_result_or_enters_the_active_turn",
    39: "test_orphans_go_and_calls_under_way_stay",
    40: "test_the_answer_comes_before_the_budget_is_spent",
    41: "test_no_error_becomes_an_answer",
    42: "test_retries_hold_for_streams_and_are_counted",
    43: "test_an_empty_answer_is_an_answer",
}

assert sorted({**MODEL, **AROUND}) == list(range(1, 44)), "each of the 43 has one owner"
