/// Keeps what is subscribed to on the connection the same as what is wanted.
extension RealtimeClient {
  /// What a subscription was answered with.
  public struct Subscribed: Sendable, Equatable {
    /// Those that were asked for and granted.
    public var topics: [String] = []
    /// Those that were asked for and are not allowed.
    public var denied: [ServerFrame.Denied] = []
    /// Unread messages by chat; `nil` when the server cannot say at the moment.
    public var unread: [String: Int]?
  }

  /// Adds topics, now and for every later connection. Those that were denied, that the server has ended or that could not
  /// be asked for are asked for again.
  ///
  /// Answers what the server granted; nothing where ``RealtimeUpdate/ready(_:)`` tells: while there is no connection, and
  /// over streams and polls, which begin again with the new topics. Throws ``ClientError``.
  @discardableResult
  public func subscribe(to names: [String]) async throws -> Subscribed { try await join(topics.add(names)) }

  /// Takes topics away, now and for every later connection. When they are subscribed to again, they begin at the device's
  /// own cursor.
  public func unsubscribe(from names: [String]) async throws {
    let user = userID
    let gone = topics.remove(names)
    flushAcknowledgements()
    // Over a WebSocket that was just now; otherwise the connection that is made without them says nothing of them.
    if !isDuplex, let word = lastWord(of: gone) { say(word, after: machine.phase == .connected ? link : nil) }
    for topic in gone { forget(topic) }
    try await leave(gone)
    // Somebody else may have been connected meanwhile.
    guard user == userID else { return }
    // What was on its way is of no subscription that there is.
    for topic in gone where !topics.contains(topic) { forget(topic) }
  }

  /// Hears how users are: first how each is now, then each change, as events of the type `presence_update`. At most 1 000
  /// users. Counted: what was watched twice is watched until ``unwatchPresence(of:)`` was called twice.
  public func watchPresence(of userIDs: [String]) async throws {
    let names = userIDs.map { "presence:" + $0 }
    let fresh = topics.watch(names)
    // Whoever watches already gets it once more.
    if machine.phase == .connected {
      for topic in Set(names).subtracting(fresh) { if let item = inbox?.snapshot(of: topic) { tellReaders(item) } }
    }
    _ = try await join(fresh)
  }

  /// Takes back one ``watchPresence(of:)`` of each of these users. Throws ``ClientError``.
  public func unwatchPresence(of userIDs: [String]) async throws {
    try await leave(topics.unwatch(userIDs.map { "presence:" + $0 }))
  }

  /// The connection is there: what was wanted or not while it was made is made good.
  func alignTopics() {
    guard machine.phase == .connected, let userID else { return }
    guard isDuplex else { return beginAgainIfOtherTopicsAreWanted(userID) }
    let (missing, left) = topics.differences(inbox: "user:" + userID)
    guard !missing.isEmpty || !left.isEmpty else { return }
    let generation = machine.generation
    // Ends with the answers. One that is lost with the connection is made good by the next one, whose user may be another.
    Task {
      do {
        guard generation == machine.generation else { return }
        _ = try await join(missing)
        guard generation == machine.generation else { return }
        try await leave(left)
      } catch let error as ClientError {
        tellReaders(Inbox.Item(update: .complaint(error)))
      }
    }
  }

  /// What only brings is told its topics when it begins.
  private func beginAgainIfOtherTopicsAreWanted(_ userID: String) {
    var wanted = topics
    _ = wanted.request(inbox: "user:" + userID, isDuplex: false, isPolled: transport.isPolled)
    if wanted.current != topics.asked { run { machine, now in machine.reopen(now: now) } }
  }

  private func join(_ names: [String]) async throws -> Subscribed {
    guard !names.isEmpty, machine.phase == .connected, let userID else { return Subscribed() }
    guard isDuplex else {
      beginAgainIfOtherTopicsAreWanted(userID)
      return Subscribed()
    }
    let generation = machine.generation
    topics.joined(names)
    let positions = acknowledgements.positions(of: names)
    inbox?.joining(names, presenting: positions)
    // The members of a connect frame, and no others: the connection has a device already.
    let data = JSONText { json in
      json.object { ConnectRequest.write(subscriptions: names, positions: positions, to: &$0) }
    }
    do {
      let answer = try await callOverSocket("subscribeToRealtimeEventsV1", data, timeout: options.callTimeout)
      // It says nothing of a connection that was made since.
      guard generation == machine.generation else { return Subscribed() }
      return take(subscribed: answer)
    } catch {
      // Lost with its connection: the next one begins with these topics.
      if generation != machine.generation { return Subscribed() }
      topics.left(names)
      throw error
    }
  }

  private func take(subscribed answer: JSONText) -> Subscribed {
    let (subscribed, receipts) = answer.read { view in
      (
        Subscribed(
          topics: view["subscriptions"]?.elements.compactMap(\.string) ?? [], denied: ServerFrame.denied(view),
          unread: ServerFrame.unread(view)),
        ServerFrame.receipts(view)
      )
    }
    topics.refuse(subscribed.denied.map(\.topic))
    for denied in subscribed.denied { tellReaders(Inbox.Item(update: .denied(denied))) }
    for item in inbox?.take(receipts) ?? [] { tellReaders(item) }
    return subscribed
  }

  private func leave(_ names: [String]) async throws {
    guard !names.isEmpty, machine.phase == .connected, let userID else { return }
    guard isDuplex else { return beginAgainIfOtherTopicsAreWanted(userID) }
    let generation = machine.generation
    topics.left(names)
    let data = JSONText { json in json.object { ConnectRequest.write(subscriptions: names, positions: [:], to: &$0) } }
    do {
      _ = try await callOverSocket("unsubscribe", data, timeout: options.callTimeout)
    } catch {
      // Lost with its connection: the next one begins without them.
      guard generation == machine.generation else { return }
      throw error
    }
  }

  private func forget(_ topic: String) {
    inbox?.forget(topic)
    acknowledgements.forget(topic)
  }
}
