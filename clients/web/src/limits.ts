/** Every bound of the client, with its reason. Times are in milliseconds. */

/** The longest delay between two attempts: longer, and people reach for the reload button. */
export const backoffMax = 30_000;
/** The longest that the server may ask to wait: more is a mistake of its operator, and of timers the browser's. */
export const retryAfterMax = 3_600_000;
/** The shortest time between two pings, whatever is asked for. */
export const pingIntervalMin = 100;
/** A connection that has held for so long was a success: the next failure is the first. */
export const stableAfter = 5_000;
/** From the token to `ready`. The server gives up on a silent one after the same time. */
export const connectTimeout = 10_000;
/** How long after a ping something must come in. The server's own grace. */
export const pongGrace = 10_000;
/** The same when there is a doubt already: after a sleep, or a change of network. */
export const probeGrace = 4_000;
/** Acknowledgements wait so long for more of them; the server takes one a topic for all before. */
export const ackDelay = 50;
/**
 * A stream that was behind its acknowledgements for so long is begun again with them, or after a random part of the second half:
 * no more often than a poll asks, and not all streams at once after what went to everybody.
 */
export const streamAckDelay = 20_000;
/** How long a poll is held that acknowledges when a stream ends: until the server, too, knows of the end. */
export const ackHold = 1_000;
/** The first delay before a hook asks again for a topic that could not be had just now: a scheduler restarts in that time. */
export const topicRetry = 4_000;
/** When polls are begun again for which the log did not answer. */
export const logRetry = 1_000;
/** The longest that a timer of a browser can be set to. */
export const timerMax = 2 ** 31 - 1;
/** Users of whom it is remembered how they are, for who watches them next: as many as one connection may watch. */
export const presenceMax = 1_000;
/** Ids of events seen, to leave what comes twice: more than a reconnect ever brings again. */
export const seenMax = 2_000;
/** Versions of keyed state, by chat and user. */
export const versionsMax = 5_000;
/** Messages of a chat of which it is known whether they are unread, since the server counted: more than anybody shows a number for. */
export const unreadMessagesMax = 1_000;
/** Typing is told again so often while it goes on; it ends by itself after 5 s. */
export const typingEvery = 3_000;
/** Chats of which it is remembered when typing was told last. */
export const typingChatsMax = 100;
/** Calls that wait for an answer on one socket; the server allows 100 frames a second. */
export const callsMax = 256;
/** What a stream or a poll may subscribe to, by the protocol. */
export const streamTopicsMax = 32;
/** How long a poll is held by the server. */
export const pollHold = 25_000;
/** Failures of a transport that never got ready, before the next one is tried. */
export const failuresPerRung = 2;
/** When, on a lesser transport, a WebSocket is tried again: soon (the server may just have been away), then rarely. */
export const upgradeDelays = [5_000, 60_000, 300_000];
/** One line of a stream: an event of 64 KiB with its frame, escaped. */
export const streamLineMax = 1 << 20;
/** A timer that fires so late was held up by a sleep or a busy page, and what has come in is given so long to be read. */
export const lateGrace = 1_000;
