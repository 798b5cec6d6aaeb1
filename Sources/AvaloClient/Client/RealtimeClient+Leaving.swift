import AvaloCore

/// What is said of what was processed when no connection says it any more.
extension RealtimeClient {
  /// Polls that say what the server has not heard of, as whoever is, or was last, connected.
  struct LastWord {
    var polls: [JSONText]
    var token: String
  }

  func endConnection() {
    flushAcknowledgements()
    if isDuplex { acknowledgements.endedInOrder() }
    let (word, last) = (lastWord(), link)
    run { machine, _ in machine.disconnect() }
    if let word { say(word, after: last) }
  }

  /// Takes what the server was to know and, as far as anybody here knows, does not: over a WebSocket nothing but what was
  /// lost with it, over a stream all that was processed since it began, over polls what was since they began. From now on
  /// it counts as told. `nil` where there is nothing, or nobody to say it as.
  ///
  /// - `names`: of these topics alone; of all when it is `nil`.
  func lastWord(of names: [String]? = nil) -> LastWord? {
    guard let lastToken else { return nil }
    let untold = acknowledgements.untold.filter { names?.contains($0.key) ?? true }
    guard !untold.isEmpty else { return nil }
    acknowledgements.tell(untold)
    // A poll of the same connection takes the place of the one that is held; a stream or a WebSocket must have ended.
    let connection = lastReady?.isPolled == true ? lastReady?.connectionID : nil
    let hold = connection == nil ? ClientLimits.lastPollHoldMilliseconds : 0
    let polls = PollAnswer.cursors(untold).enumerated().map { place, cursor in
      PollAnswer.request(
        connection, cursor: cursor, deviceID: deviceID, subscriptions: [], holdMilliseconds: place == 0 ? hold : 0)
    }
    return LastWord(polls: polls, token: lastToken)
  }

  /// Says it once the link is closed: a device stands where its connections that are left stand. Whatever that waits for,
  /// it is over in time, and nothing else waits for it; what it fails to say comes again.
  func say(_ word: LastWord, after last: (any TransportLink)?) {
    // Its own: what is asked over the client's would be answered behind a poll that is held.
    let client = CallableClient(HTTPClient(options.endpoint, security: options.security), credential: word.token)
    let limit = ClientLimits.lastWordMilliseconds
    let due = clock.now + limit
    saying = Task { [earlier = saying, clock] in
      try? await inTime(due, clock, orThrow: .timedOut("what was processed could not be said in time")) {
        await earlier?.value
        await last?.waitUntilClosed()
        for poll in word.polls where !Task.isCancelled {
          _ = try? await client.call("realtimePingV1", poll, timeout: .milliseconds(limit))
        }
        await client.close()
      }
    }
  }
}
