import AvaloWire

/// Which session of a named connection stands: the one that began last, over all gateways. A pure table of the sessions
/// there are; after a restart the gateways name them again, in any order, and the same one stands.
struct LeaseTable {
  struct Name: Hashable {
    var user: String
    var connection: String
    var use: Lease.Use
  }
  struct Holder: Equatable {
    var link: LinkID
    var session: UInt64
    /// The gateway's own, to be given back to it.
    var place: UInt32
    var correlation: UInt32
    var began: Int64

    fileprivate func isNewer(than other: Holder) -> Bool {
      (began, session, link.rawValue) > (other.began, other.session, other.link.rawValue)
    }
    fileprivate func isSame(as other: Holder) -> Bool { link == other.link && session == other.session }
  }

  private var holders: [Name: Holder] = [:]
  private var names: [LinkID: [UInt64: Name]] = [:]

  var count: Int { holders.count }

  /// A session asks for the lease; returns who has lost it, the asking one perhaps.
  mutating func take(_ name: Name, _ holder: Holder) -> Holder? {
    guard let before = holders[name], !before.isSame(as: holder) else {
      put(holder, name)
      return nil
    }
    guard holder.isNewer(than: before) else { return holder }
    names[before.link]?[before.session] = nil
    put(holder, name)
    return before
  }

  /// The session is over.
  mutating func end(_ session: UInt64, of link: LinkID) {
    guard let name = names[link]?.removeValue(forKey: session) else { return }
    holders[name] = nil
  }

  mutating func end(_ link: LinkID) {
    for name in names.removeValue(forKey: link)?.values ?? [:].values { holders[name] = nil }
  }

  private mutating func put(_ holder: Holder, _ name: Name) {
    holders[name] = holder
    names[holder.link, default: [:]][holder.session] = name
  }
}
