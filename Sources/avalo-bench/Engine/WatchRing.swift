/// Who watches whom: each of `users` watches `watched` others, and is watched by as many, spread evenly over the ring of all.
struct WatchRing {
  let users: Int
  let watched: Int
  private let step: Int

  /// - Precondition: `watched` is at least 1 and less than `users`.
  init(users: Int, watched: Int) {
    precondition(watched >= 1 && watched < users, "\(users) users cannot watch \(watched) others each")
    self.users = users
    self.watched = watched
    step = users / (watched + 1)
  }

  func watched(by watcher: Int) -> [Int] { (1...watched).map { (watcher + $0 * step) % users } }

  /// The place of a user among those that `watcher` watches, from 0; `nil` when they are not among them.
  func place(of user: Int, for watcher: Int) -> Int? {
    let distance = (user - watcher + users) % users
    guard distance % step == 0, (1...watched).contains(distance / step) else { return nil }
    return distance / step - 1
  }
}
