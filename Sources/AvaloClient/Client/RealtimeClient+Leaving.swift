import AvaloCore

/// The last word over a transport that cannot be told anything.
extension RealtimeClient {
  /// What the server has not heard of: over a stream all that was processed, over polls what was since the last began.
  /// `nil` where there is nothing, or nobody to say it as.
  func lastWord() -> (data: JSONText, token: String)? {
    guard machine.phase == .connected, !transport.isDuplex, let lastToken else { return nil }
    let unsaid = acknowledgements.unsaid(of: requested.topics, since: requested.positions)
    guard !unsaid.isEmpty else { return nil }
    let data = PollAnswer.request(
      nil, cursor: PollAnswer.cursor(unsaid), deviceID: deviceID, subscriptions: [],
      holdMilliseconds: ClientLimits.lastPollHoldMilliseconds)
    return (data, lastToken)
  }

  /// A poll says it, as whoever was connected, once the link is closed: a device stands where its connections that are left
  /// stand. What it fails to say comes again.
  func say(_ word: (data: JSONText, token: String), after last: (any TransportLink)?) {
    let client = CallableClient(http, credential: word.token)
    let earlier = saying
    saying = Task {
      await earlier?.value
      await last?.waitUntilClosed()
      _ = try? await client.call(
        "realtimePingV1", word.data, timeout: .milliseconds(ClientLimits.lastPollTimeoutMilliseconds))
    }
  }
}
