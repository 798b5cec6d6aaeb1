import AvaloCore
import AvaloWire

// For servers: which connections there are, and where to end them.
extension Board {

  /// A connection that is not over, and who can say more of it or end it.
  struct Place: Equatable {
    var session: UInt64
    /// `nil` while its gateway is away, just after our start.
    var link: ObjectIdentifier?
  }

  /// Connections that are not over, a page of them, in an order that stays.
  func list(
    _ query: ConnectionsQuery, at now: Moment
  ) -> (entries: [ConnectionList.Entry], places: [Place], next: UInt64) {
    var entries: [ConnectionList.Entry] = []
    var places: [Place] = []
    var next: UInt64 = 0
    for index in walk(query) where isListed(connections[index]) {
      if entries.count == Int(query.limit) {
        next = UInt64(index) + 1
        break
      }
      entries.append(entry(of: connections[index], at: now))
      places.append(place(of: connections[index]))
    }
    return (entries, places, next)
  }

  /// The connections of a user that are not over, or the one of that id.
  func places(of query: Disconnect) -> [Place] {
    guard let user = user(query.user) else { return [] }
    return connections(of: user).map { connections[$0] }.filter {
      isListed($0) && (query.connectionID.isEmpty || texts.equals($0.connectionID, query.connectionID.utf8))
    }.map(place)
  }

  /// Rows by index from where the page begins; `after` is one more than the index of the first.
  private func walk(_ query: ConnectionsQuery) -> [UInt32] {
    let first = UInt32(clamping: query.after == 0 ? 0 : query.after - 1)
    guard query.user.isEmpty else {
      return user(query.user).map { connections(of: $0).sorted().filter { $0 >= first } } ?? []
    }
    var found: [UInt32] = []
    var index = first
    // One more than the page: it is where the next one begins.
    while index < connections.end, found.count <= Int(query.limit) {
      if isListed(connections[index]) { found.append(index) }
      index += 1
    }
    return found
  }

  private func connections(of user: UInt32) -> [UInt32] {
    var all: [UInt32] = []
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none {
      all.append(index)
      index = connections[index].next
    }
    return all
  }

  /// Not over, as far as is known: of a gateway whose link has ended nothing is, and mostly it has died. Its users are shown
  /// as before for a while, but nobody can say that these connections are there.
  private func isListed(_ row: ConnectionRow) -> Bool {
    switch row.state {
    case .open: true
    case .unconfirmed:
      gateways[Int(row.gateway)].link != nil
        || settling?.awaits(gateways[Int(row.gateway)].incarnation) == true
    case .free, .lingering: false
    }
  }

  private func place(of row: ConnectionRow) -> Place {
    Place(session: row.session, link: gateways[Int(row.gateway)].link)
  }

  private func entry(of row: ConnectionRow, at now: Moment) -> ConnectionList.Entry {
    ConnectionList.Entry(
      connectionID: texts[row.connectionID], user: texts[users[row.user].id], device: texts[row.device],
      platform: row.platform, connectedMilliseconds: row.connectedMilliseconds,
      seenMilliseconds: now.wall(of: row.seen))
  }
}
