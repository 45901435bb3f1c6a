"""Every decision has a name. The same word stands in the timeline, the log, the metric, the API and the tests."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something happened, or did not. The value is the word people see and scripts match on."""

    # alerts
    FIRST_SEEN = "first_seen"
    HEARD_AGAIN = "heard_again"
    CHANGED = "changed"
    FIRING_AGAIN = "firing_again"
    SOURCE_RESOLVED = "source_resolved"
    EXPIRED = "expired"
    ALREADY_RESOLVED = "already_resolved"
    UNKNOWN_KEY = "unknown_dedup_key"
    KEY_FLOODED = "key_flooded"
    COUNTS_AS_HEARTBEAT = "counts_as_heartbeat"
    HEARTBEAT_LATE = "heartbeat_late"
    HEARTBEAT_FAILED = "heartbeat_failed"
    HEARTBEAT_BACK = "heartbeat_back"
    LEFT_THE_PLAN = "left_the_plan"
    STALE = "stale"

    # routing and grouping
    ROUTE_MATCHED = "route_matched"
    KEY_SERVICE = "key_service"
    NO_ROUTE = "no_route"

    # incidents
    OPENED = "opened"
    JOINED = "joined"
    REOPENED = "reopened"
    ALL_CLEAR = "all_clear"
    CLEARING = "clearing"
    BY_HAND = "by_hand"
    BY_SOURCE = "by_source"
    SNOOZED = "snoozed"
    SNOOZE_ENDED = "snooze_ended"
    PARKED_REQUEST = "parked_request"
    NOTE = "note"

    # quiet, and its end
    SILENCED = "silenced"
    SILENCE_ENDED = "silence_ended"
    SILENCE_ENDS_SOON = "silence_ends_soon"
    SILENCE_CREATED = "silence_created"
    SILENCE_CHANGED = "silence_changed"
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGEMENT_ENDED = "acknowledgement_ended"
    PAGING_OFF = "paging_off"
    PAGING_ON = "paging_on"
    PLAN_CHANGED = "plan_changed"
    DEAF = "deaf"

    # playbooks
    PLAYBOOK_RUNS = "playbook_runs"
    PLAYBOOK_BESIDE = "playbook_beside"
    PLAYBOOK_VERIFIED = "playbook_verified"
    WAITS_FOR_RUN = "waits_for_run"
    CHANGED_BESIDE = "changed_beside"
    PLAYBOOK_STEP = "playbook_step"
    PLAYBOOK_ENDED = "playbook_ended"
    PLAYBOOK_STANDS_BY = "playbook_stands_by"
    NOT_CLEARED = "not_cleared"
    HANDED_OVER = "handed_over"
    CODE_LIMIT = "code_limit"
    FIXED_AND_BACK = "fixed_and_back"
    LEFT_UNFIXED = "left_unfixed"
    UNANSWERED = "unanswered"
    PEOPLE_CALLED = "people_called"
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_GIVEN = "approval_given"
    APPROVAL_LATE = "approval_late"
    RUN_CANCELLED = "run_cancelled"
    RUN_CONTINUED = "run_continued"
    RUN_REPEATED = "run_repeated"
    RUN_TAKEN_OVER = "run_taken_over"
    RUN_GIVEN_BACK = "run_given_back"
    LEFT_IN_MIDST = "left_in_midst"
    SHADOW_ASKED = "shadow_asked"
    SHADOW_AGREED = "shadow_agreed"
    SHADOW_DIFFERED = "shadow_differed"
    NO_TARGET = "no_target"
    GUARD_LOCK = "guard_lock"
    GUARD_AT_MOST = "guard_at_most"
    GUARD_COOLDOWN = "guard_cooldown"
    GUARD_BLAST = "guard_blast"
    GUARD_FROZEN = "guard_frozen"
    GUARD_BREAKER = "guard_breaker"
    GUARD_UNLESS = "guard_unless"
    GUARD_PERSON = "guard_person"
    GUARD_SILENCE = "guard_silence"
    SCHEDULE_MISSED = "schedule_missed"
    RULE_ERROR = "rule_error"
    CHECKLIST_FITS = "checklist_fits"
    TICKED = "ticked"
    UNTICKED = "unticked"
    TRUST_CLIMBED = "trust_climbed"
    TRUST_FELL = "trust_fell"
    TRUST_SET = "trust_set"

    # paging
    STEP_DUE = "step_due"
    STEP_REPEATED = "step_repeated"
    STILL_WAITS = "still_waits"
    STEP_NOT_MEANT = "step_not_meant"
    CLOSED_HOURS = "closed_hours"
    WAITING_FOR_ANSWER = "waiting_for_answer"
    NOBODY_REACHABLE = "nobody_reachable"
    REACHED_NOBODY = "reached_nobody"
    RELIEVED = "relieved"
    ESCALATION_EXHAUSTED = "escalation_exhausted"
    LAST_RESORT = "last_resort"
    SENT = "sent"
    RETRYING = "retrying"
    FAILED = "failed"
    OVERTAKEN = "overtaken"
    REPLACED = "replaced"
    LEFT_BEFORE = "left_before"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    ANSWERED = "answered"
    NEXT_METHOD = "next_method"
    QUIET_HOURS = "quiet_hours"
    BUNDLED = "bundled"
    TOLD_TOGETHER = "told_together"
    ON_THE_PHONE = "on_the_phone"
    LINE_BUSY = "line_busy"
    NO_ANSWER = "no_answer"
    CALLED_AGAIN = "called_again"
    STANDS_IN = "stands_in"
    CONTACT_CODE = "contact_code"
    CONTACT_TEST = "contact_test"
    CONTACT_FAILING = "contact_failing"
    CONTACT_WORKS = "contact_works"
    CONTACT_CHANGED = "contact_changed"
    CONTACT_REMOVED = "contact_removed"
    DRILL = "drill"
    NOT_MEANT = "not_meant"
    NOT_YET = "not_yet"
    OTHERS_TURN = "others_turn"
    PLAN_NOT_KNOWN = "plan_not_known"
    SYNTHETIC = "synthetic"
    CAME_BACK = "came_back"
    NOT_BACK = "not_back"

    # what responders do
    REASSIGNED = "reassigned"
    PUT_OFF = "put_off"
    ASKED_FOR_HELP = "asked_for_help"
    HELP_UNHEARD = "help_unheard"
    HELP_UNANSWERED = "help_unanswered"
    HELP_AWAITED = "help_awaited"
    PLAN_APPLIED = "plan_applied"
    QUARANTINED = "quarantined"

    # who is on call
    ON_CALL_CHANGED = "on_call_changed"
    SWAP_ASKED = "swap_asked"
    SWAP_DECLINED = "swap_declined"
    COVER_ASKED = "cover_asked"
    OVERRIDE_CANCELLED = "override_cancelled"
    OVERRIDE_OVER = "override_over"
    SHIFT_BEGINS = "shift_begins"
    SHIFT_ENDS = "shift_ends"
    SCHEDULE_FINDINGS = "schedule_findings"
    HEARTBEAT_UNHEARD = "heartbeat_unheard"
    CALENDAR_READ = "calendar_read"
    CALENDAR_AWAY = "calendar_away"


EXPLAINED: dict[Reason, str] = {
    Reason.FIRST_SEEN: "this condition was heard for the first time",
    Reason.HEARD_AGAIN: "the monitor repeated what was known",
    Reason.CHANGED: "the monitor said something new about it",
    Reason.FIRING_AGAIN: "it had ended and fires again",
    Reason.SOURCE_RESOLVED: "the monitor said that it ended",
    Reason.EXPIRED: "the monitor stopped repeating it, and its end time passed",
    Reason.ALREADY_RESOLVED: "it was already over",
    Reason.UNKNOWN_KEY: "nothing is open under this deduplication key",
    Reason.KEY_FLOODED: "this key has more active alerts than it may; the rest are counted in one",
    Reason.COUNTS_AS_HEARTBEAT: "the plan reads this alert as a heartbeat: it must keep firing",
    Reason.HEARTBEAT_LATE: "no sign of life came within its period and grace",
    Reason.HEARTBEAT_FAILED: "the job reported a failure",
    Reason.HEARTBEAT_BACK: "a sign of life came again",
    Reason.LEFT_THE_PLAN: "the plan has what was watched no more, so nothing looks whether it is well",
    Reason.STALE: "it has fired for a day without a new word",
    Reason.ROUTE_MATCHED: "a route of the plan matched its labels",
    Reason.KEY_SERVICE: "it was sent for this service, by its key or by name",
    Reason.NO_ROUTE: "no route matched, so it is kept in the inbox",
    Reason.OPENED: "no open incident had room for this alert",
    Reason.JOINED: "an open incident of the same group took it",
    Reason.REOPENED: "the same trouble came back soon after it was resolved",
    Reason.ALL_CLEAR: "every alert in it has ended",
    Reason.CLEARING: "every alert has ended; it resolves if they stay quiet",
    Reason.BY_HAND: "a person said so",
    Reason.BY_SOURCE: "the monitor said so",
    Reason.SNOOZED: "a person resolved it while alerts still fire; it is judged again when the snooze ends",
    Reason.SNOOZE_ENDED: "the snooze ended and alerts still fire",
    Reason.PARKED_REQUEST: "a request could not be read; it is kept for a person to see",
    Reason.NOTE: "a person wrote it down",
    Reason.SILENCED: "a silence matches it",
    Reason.SILENCE_ENDED: "a silence ended, so what still fires is judged again",
    Reason.SILENCE_ENDS_SOON: "a silence is about to end",
    Reason.SILENCE_CREATED: "a silence began",
    Reason.SILENCE_CHANGED: "a silence was changed",
    Reason.ACKNOWLEDGED: "a person has it",
    Reason.ACKNOWLEDGEMENT_ENDED: "it was acknowledged, but is not resolved and the time for it ran out",
    Reason.PAGING_OFF: "Tocsin runs with paging off",
    Reason.PAGING_ON: "Tocsin ran with paging off before, so whatever nobody has is paged from its first step",
    Reason.PLAN_CHANGED: "the plan changed, so what still fires is judged again",
    Reason.DEAF: "Tocsin could not hear for a while, so absence proves nothing yet",
    Reason.PLAYBOOK_RUNS: "a playbook works on it, and pages wait until it is late, fails or is done",
    Reason.PLAYBOOK_BESIDE: "a playbook runs beside what people do: no page waits for it",
    Reason.PLAYBOOK_VERIFIED: "a playbook fixed it and saw that it holds; its alerts get time to end",
    Reason.WAITS_FOR_RUN: "a playbook waits for another run on the same system, and has its turn when that is over",
    Reason.CHANGED_BESIDE: "another run changed the same system, so what was found there before says nothing any more",
    Reason.PLAYBOOK_STEP: "a playbook told what it found or did",
    Reason.PLAYBOOK_ENDED: "a playbook came to its end",
    Reason.PLAYBOOK_STANDS_BY: "another playbook answers this incident already",
    Reason.NOT_CLEARED: "a playbook saw its fix hold, but the alerts did not end in time",
    Reason.CODE_LIMIT: "pages have waited for code as long as they may in all, over all targets together",
    Reason.FIXED_AND_BACK: "an alert fires again about what code had fixed, and code tries each target once",
    Reason.LEFT_UNFIXED: "code is done with a target, or may not begin there, and an alert about it still fires",
    Reason.UNANSWERED: "an alert fires that no playbook answers, so its page waits for nothing that code does",
    Reason.PEOPLE_CALLED: "people were called before code began, and whoever is next is called whatever it does",
    Reason.HANDED_OVER: "code could not finish the job, so a person is called with what it found",
    Reason.APPROVAL_ASKED: "a playbook asks before it changes something",
    Reason.APPROVAL_GIVEN: "a person answered a playbook",
    Reason.APPROVAL_LATE: "nobody answered a playbook in time, so what it said before counts",
    Reason.RUN_CANCELLED: "a person stopped the run",
    Reason.RUN_CONTINUED: "a person had a run go on from one of its steps",
    Reason.RUN_REPEATED: "a person had a run repeated",
    Reason.RUN_TAKEN_OVER: "a person works on the run's targets by hand, and code changes nothing there",
    Reason.RUN_GIVEN_BACK: "a person gave the run's targets back to code",
    Reason.LEFT_IN_MIDST: "code left a system in the midst of a change, and asks before it changes it again",
    Reason.SHADOW_ASKED: "a person is asked whether they did what a playbook that only watched would have done",
    Reason.SHADOW_AGREED: "a person did what a playbook that only watched would have done",
    Reason.SHADOW_DIFFERED: "a person did something else than a playbook that only watched would have done",
    Reason.NO_TARGET: "the plan names no system the playbook could work on",
    Reason.GUARD_LOCK: "something else works on the same target",
    Reason.GUARD_AT_MOST: "the playbook ran as often as it may",
    Reason.GUARD_COOLDOWN: "the playbook ran on this target a short while ago",
    Reason.GUARD_BLAST: "too many targets would be changed at once",
    Reason.GUARD_FROZEN: "nothing is changed at these hours",
    Reason.GUARD_BREAKER: "the playbook failed, or the same trouble came back, too often",
    Reason.GUARD_UNLESS: "another service has an incident, and the playbook does not run meanwhile",
    Reason.GUARD_PERSON: "a person has the incident, and code changes nothing beside them",
    Reason.GUARD_SILENCE: "a silence covers what the playbook would change, so somebody is at it",
    Reason.SCHEDULE_MISSED: "the playbook's schedule was due when Tocsin was down, too long ago to begin it now",
    Reason.RULE_ERROR: "the playbook's rule came to no answer, and what cannot be judged does not match",
    Reason.CHECKLIST_FITS: "a checklist of its service is for alerts like these",
    Reason.TICKED: "a person ticked this step of a checklist",
    Reason.UNTICKED: "a person took back that this step of a checklist was done",
    Reason.TRUST_CLIMBED: "the playbook's runs held often enough",
    Reason.TRUST_FELL: "a run of the playbook failed, or its code or what it may do was changed",
    Reason.TRUST_SET: "a person said what the playbook is trusted with",
    Reason.STEP_DUE: "this step of the escalation was due",
    Reason.STEP_NOT_MEANT: "this step is for other incidents or other hours, so the next one follows at once",
    Reason.CLOSED_HOURS: "it is of low urgency and waits for the hours of its service",
    Reason.STEP_REPEATED: "the step is repeated as the plan says",
    Reason.STILL_WAITS: "the step was due, and the page before it to the same person still waits to leave",
    Reason.WAITING_FOR_ANSWER: "someone was paged and has time to answer",
    Reason.NOBODY_REACHABLE: "this step can reach nobody, so the next one follows at once",
    Reason.REACHED_NOBODY: "everybody was paged and nobody was reached, so paging begins again soon",
    Reason.RELIEVED: "the shift ended before anything reached them, and somebody else is on call now",
    Reason.ESCALATION_EXHAUSTED: "every step has been paged and nobody answered",
    Reason.LAST_RESORT: "nobody else could be reached",
    Reason.SENT: "the channel took it",
    Reason.RETRYING: "the channel failed for the moment; it is tried again",
    Reason.FAILED: "the channel refused it for good",
    Reason.OVERTAKEN: "it was not needed any more when it was about to leave",
    Reason.REPLACED: "it had not left yet, and a newer page to the same person by the same way took its place",
    Reason.LEFT_BEFORE: "it was already leaving when it was not needed any more, and was delivered",
    Reason.POSSIBLE_DUPLICATE: "Tocsin stopped while it was leaving; it may have arrived before",
    Reason.ANSWERED: "the person answered",
    Reason.NEXT_METHOD: "the person has time to answer by the method before it",
    Reason.QUIET_HOURS: "it is of low urgency and waits for the person's morning",
    Reason.TOLD_TOGETHER: "others like it may come just then, and are told in the same message",
    Reason.BUNDLED: "many pages left to the same person just before, so it goes out together with others",
    Reason.ON_THE_PHONE: "Tocsin is calling the same number already, and says it in the next call",
    Reason.LINE_BUSY: "the telephone was busy",
    Reason.NO_ANSWER: "the telephone rang and nobody picked it up",
    Reason.CALLED_AGAIN: "the call before it did not get through, so the number is called again",
    Reason.STANDS_IN: "a step of the escalation reached nobody, so the team's lead and the last resort are paged",
    Reason.CONTACT_CODE: "a code was asked for, to prove that this contact method is yours",
    Reason.CONTACT_TEST: "a test of this contact method was asked for",
    Reason.CONTACT_FAILING: "its channel refused the address for good",
    Reason.CONTACT_WORKS: "a message went through again",
    Reason.CONTACT_CHANGED: "how you are reached was changed; if that was not you, tell an admin",
    Reason.CONTACT_REMOVED: "the contact method was removed",
    Reason.NOT_MEANT: "neither by name nor by who is on call does the escalation lead to them",
    Reason.NOT_YET: "somebody before them answered, or had time to, or paging was paused or over",
    Reason.PLAN_NOT_KNOWN: "the plan that was in force then is not known any more, and no other says who was meant",
    Reason.OTHERS_TURN: "the step pages one of several, and it was the turn of another",
    Reason.SYNTHETIC: "the plan has Tocsin page itself, to see whether the channel works",
    Reason.CAME_BACK: "the synthetic page came back",
    Reason.NOT_BACK: "the synthetic page did not come back in time",
    Reason.DRILL: "somebody asked to be paged, to see what it is like",
    Reason.REASSIGNED: "a person gave it to another",
    Reason.PUT_OFF: "a person put it off until a set time",
    Reason.ASKED_FOR_HELP: "a person asked for help with it",
    Reason.HELP_UNHEARD: "whoever was asked for help could not be reached by any of their contact methods",
    Reason.HELP_UNANSWERED: "nobody who was asked for help has answered",
    Reason.HELP_AWAITED: "whoever was asked for help has time to answer; it is not said if one of them does",
    Reason.PLAN_APPLIED: "a person applied the plan now in force to it",
    Reason.QUARANTINED: "judging it failed; it is set aside and the last resort is paged",
    Reason.ON_CALL_CHANGED: "somebody takes another's place on call",
    Reason.SWAP_ASKED: "somebody asks to swap shifts",
    Reason.SWAP_DECLINED: "the other does not want to swap",
    Reason.COVER_ASKED: "somebody asks who takes a shift",
    Reason.OVERRIDE_CANCELLED: "it was taken back, so the plan's layers count again",
    Reason.OVERRIDE_OVER: "its time has passed",
    Reason.SHIFT_BEGINS: "you come on call",
    Reason.SHIFT_ENDS: "your shift is over",
    Reason.CALENDAR_READ: "a calendar from elsewhere was read",
    Reason.CALENDAR_AWAY: "a calendar from elsewhere cannot be read; its last copy counts",
    Reason.HEARTBEAT_UNHEARD: "the plan has a heartbeat of which nothing was ever heard",
    Reason.SCHEDULE_FINDINGS: "something is wrong with who is on call in the days ahead",
}

SAYS_WHY = frozenset(
    {Reason.PLAYBOOK_RUNS, Reason.PLAYBOOK_STEP, Reason.PLAYBOOK_VERIFIED, Reason.WAITS_FOR_RUN, Reason.CHANGED_BESIDE}
)
"""Reasons of lines that say themselves why they are told: their sentence adds nothing."""
