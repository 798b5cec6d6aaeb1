/// What a client wants to be subscribed to, beside its user's inbox, and what its connection began with. Watched topics
/// are counted, by who watches. A pure value.
struct TopicInterest {
  private var wanted: [String] = []
  private var watched: [String: Int] = [:]
  /// What the connection has, or is about to have.
  private(set) var current: Set<String> = []
  /// What it was asked for and has not: denied, or ended by the server. Asked for again by the next connection, or when
  /// somebody asks for it again.
  private var refused: Set<String> = []
  var asked: Set<String> { current.union(refused) }

  init(_ topics: [String]) { add(topics) }

  func contains(_ topic: String) -> Bool { wanted.contains(topic) || watched[topic] != nil }

  /// Answers those that the connection does not have.
  @discardableResult
  mutating func add(_ topics: [String]) -> [String] {
    wanted += unique(topics).filter { !wanted.contains($0) }
    refused.subtract(topics)
    return unique(topics).filter { !current.contains($0) }
  }

  /// Answers those that were wanted.
  mutating func remove(_ topics: [String]) -> [String] {
    let gone = unique(topics).filter(contains)
    wanted.removeAll(where: gone.contains)
    for topic in gone { watched[topic] = nil }
    return gone
  }

  /// Answers those that the connection does not have.
  mutating func watch(_ topics: [String]) -> [String] {
    for topic in unique(topics) { watched[topic, default: 0] += 1 }
    refused.subtract(topics)
    return unique(topics).filter { !current.contains($0) }
  }

  /// Answers those that nobody wants any more.
  mutating func unwatch(_ topics: [String]) -> [String] {
    let known = unique(topics).filter { watched[$0] != nil }
    for topic in known {
      let left = (watched[topic] ?? 1) - 1
      watched[topic] = left > 0 ? left : nil
    }
    return known.filter { !contains($0) }
  }

  /// What to open a connection with. A transport that only brings carries few topics, and a poll would be answered at
  /// once, again and again, with how somebody is.
  mutating func request(inbox: String, isDuplex: Bool, isPolled: Bool = false) -> [String] {
    var all = unique([inbox] + wanted + watched.keys.sorted())
    if isPolled { all.removeAll { $0.hasPrefix("presence:") } }
    if !isDuplex { all = Array(all.prefix(ClientLimits.streamTopicsMax)) }
    current = Set(all)
    refused = []
    return all
  }

  /// The connection is there: what was wanted while it was made, and what was given up.
  func differences(inbox: String) -> (missing: [String], left: [String]) {
    let all = unique(wanted + watched.keys.sorted())
    return (all.filter { !asked.contains($0) }, current.filter { $0 != inbox && !contains($0) }.sorted())
  }

  mutating func joined(_ topics: [String]) { current.formUnion(topics) }

  mutating func left(_ topics: [String]) {
    current.subtract(topics)
    refused.subtract(topics)
  }

  /// The connection does not have them, whoever wants them.
  mutating func refuse(_ topics: [String]) {
    current.subtract(topics)
    refused.formUnion(topics)
  }

  private func unique(_ topics: [String]) -> [String] {
    var seen: Set<String> = []
    return topics.filter { seen.insert($0).inserted }
  }
}
