import AvaloLink
import AvaloWire

/// A page of connections that waits for what gateways say of them.
struct Listing {
  var list: ConnectionList
  var link: Link
  var correlation: UInt32
  /// Monotonic milliseconds; what was not said by then stays unsaid.
  var deadline: Int64
}

/// Pages on their way, by the correlation that their gateways are asked under. Confined to the worker's loop.
struct ListingTable {
  private struct Entry {
    var listing: Listing
    /// Which sessions each link was asked about, and which entries of the page those are.
    var asked: [ObjectIdentifier: [UInt64: Int]]
  }

  private var entries: [UInt32: Entry] = [:]
  private var next: UInt32 = 0

  /// The correlation to ask under; `nil` when nobody need be asked.
  mutating func begin(_ listing: Listing, asking asked: [ObjectIdentifier: [UInt64: Int]]) -> UInt32? {
    guard !asked.isEmpty else { return nil }
    repeat { next &+= 1 } while next == 0 || entries[next] != nil
    entries[next] = Entry(listing: listing, asked: asked)
    return next
  }

  /// What a loop of a gateway says; the page, if nothing is missing any more.
  mutating func described(_ answer: SessionsDescribed, _ link: ObjectIdentifier, _ correlation: UInt32) -> Listing? {
    for described in answer.entries {
      // What comes after its time has nobody left to hear it.
      guard let index = entries[correlation]?.asked[link]?.removeValue(forKey: described.session) else { continue }
      entries[correlation]?.listing.list.entries[index].subscriptions = described.subscriptions
    }
    return takeIfDone(correlation)
  }

  /// Its answers will not come.
  mutating func linkGone(_ link: ObjectIdentifier) -> [Listing] {
    for correlation in entries.keys { entries[correlation]?.asked.removeValue(forKey: link) }
    return entries.keys.sorted().compactMap { takeIfDone($0) }
  }

  mutating func expired(at now: Int64) -> [Listing] {
    guard !entries.isEmpty else { return [] }
    return entries.filter { $0.value.listing.deadline <= now }.keys.sorted().compactMap {
      entries.removeValue(forKey: $0)?.listing
    }
  }

  private mutating func takeIfDone(_ correlation: UInt32) -> Listing? {
    guard entries[correlation]?.asked.values.allSatisfy(\.isEmpty) == true else { return nil }
    return entries.removeValue(forKey: correlation)?.listing
  }
}
