/// Finds numbers by the hash of a key that is kept elsewhere: 8 bytes a place, where a dictionary would keep the key a
/// second time. Open addressing with linear probing; at most three quarters full. Confined to its owner's loop.
struct HashIndex {
  private struct Place {
    static let none = UInt32.max
    var hash: UInt32 = 0
    var value = Place.none
  }

  private var places: ContiguousArray<Place> = []
  private(set) var count = 0

  /// Seeded anew in each process, so that nobody outside can make keys collide.
  static func hash(_ key: UnsafeRawBufferPointer) -> UInt32 {
    var hasher = Hasher()
    hasher.combine(bytes: key)
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  /// The number that was inserted with this hash and whose key `matches`.
  func first(_ hash: UInt32, where matches: (UInt32) -> Bool) -> UInt32? {
    guard !places.isEmpty else { return nil }
    var at = home(hash)
    while places[at].value != Place.none {
      if places[at].hash == hash, matches(places[at].value) { return places[at].value }
      at = next(at)
    }
    return nil
  }

  /// - Precondition: the key is not there yet, and the value is not `UInt32.max`.
  mutating func insert(_ value: UInt32, hash: UInt32) {
    precondition(value != Place.none)
    if (count + 1) * 4 > places.count * 3 { grow() }
    put(Place(hash: hash, value: value))
    count += 1
  }

  /// Gives a key's place to another number.
  mutating func replace(_ value: UInt32, with other: UInt32, hash: UInt32) {
    precondition(other != Place.none)
    places[find(value, hash)].value = other
  }

  mutating func remove(_ value: UInt32, hash: UInt32) {
    var hole = find(value, hash)
    count -= 1
    // Whoever stands behind the hole and could stand in it moves up: no search ends too early.
    var at = next(hole)
    while places[at].value != Place.none {
      let distance = (at &- home(places[at].hash)) & mask
      if distance >= (at &- hole) & mask {
        places[hole] = places[at]
        hole = at
      }
      at = next(at)
    }
    places[hole] = Place()
  }

  private func find(_ value: UInt32, _ hash: UInt32) -> Int {
    precondition(!places.isEmpty, "\(value) is not in the index")
    var at = home(hash)
    while places[at].value != value {
      precondition(places[at].value != Place.none, "\(value) is not in the index")
      at = next(at)
    }
    return at
  }

  private mutating func grow() {
    let old = places
    places = ContiguousArray(repeating: Place(), count: max(16, old.count * 2))
    for place in old where place.value != Place.none { put(place) }
  }

  private mutating func put(_ place: Place) {
    var at = home(place.hash)
    while places[at].value != Place.none { at = next(at) }
    places[at] = place
  }

  private var mask: Int { places.count - 1 }
  private func home(_ hash: UInt32) -> Int { Int(hash) & mask }
  private func next(_ at: Int) -> Int { (at + 1) & mask }
}
