/// How long to wait before the next attempt: anything from nothing to a bound that doubles with each failure ("full
/// jitter"), so that a crowd that was cut off together does not come back together.
enum Backoff {
  /// Milliseconds.
  /// - `failures`: 1 after the first.
  /// - `first`: the first bound, in milliseconds.
  /// - `draw`: a random number, 0 ≤ x < 1.
  static func delay(failures: Int, first: Int, draw: () -> Double) -> Int {
    let longest = ClientLimits.backoffMaxMilliseconds
    let doublings = min(max(failures - 1, 0), 20)
    let bound = first > longest >> doublings ? longest : first << doublings
    return Int(draw() * Double(bound))
  }
}
