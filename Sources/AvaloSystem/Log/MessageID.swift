/// Lines of the log that an operator may want to look up or to act on: each has a number of its own (the journal's MESSAGE_ID),
/// under which the catalogue in `systemd/avalo.catalog` explains it (`journalctl -x`). A line is known by its constant
/// message, so that whoever logs it needs to know nothing of this.
public enum MessageID: String, CaseIterable, Sendable {
  case ready = "f4e6417e7aac4884bf849d61b19d0539"
  case stopping = "6615e761751841c4b59148da7124e760"
  case stopped = "43b15ad46e404a7a8a9cafd8ed0682b0"
  case cannotStart = "742ce8f68dfd46f1885b45cefe51975f"
  case cannotListen = "d997a7ef7bf545ed9bd7f17e0f38c41b"
  case reloaded = "1db7afc99a9a4b969ffe4a7635a49153"
  case reloadProblem = "4b5d2bc53dc44706b06682ed656ecde3"
  case workerReady = "e5bd44588233442d94ffe8c989227989"
  case workerDied = "9ed34fdfd4ec4ed4b7ac6952e543d6a1"
  case workerStopped = "ea4cc873916043a19d850ac731a53d2b"
  case workerMissedWatchdog = "a464e5a2b34140498241d07d338c914e"
  case workerNotReady = "bcf306ff4c5240a7a967b6284699389c"
  case workerNotStarted = "09a8bf51b2564fbb87d1e7a81ca2a0e2"
  case workerDrainTimedOut = "720780797b7946b289e6f00fb42dd948"
  case workerStuck = "d531cb6ab97e40738522f2850579c978"
  case workerReloadUnanswered = "aae99bf0d29b4d159369fa475680ed3c"
  case settingsRefused = "bacce5f3452e4d3aac701023402dbacf"
  case notAlive = "e13d4ed360fa4d359eb7b11a959983f7"
  case logNotTaking = "2899743a87ae4f5db8cd64bd76ae75f4"
  case logTakesAgain = "5a3684d6b24641c180a943561a2937ef"
  case logRewound = "ecac0cb0e8154c70ab8729f3c2b113bb"
  case clockJumped = "aacbf1226ed3482eabff49f7c9fd7357"
  case presenceNotWritten = "1b6431381d3640fdaeef83da9c3a87fd"
  case linkLost = "ea466a47f9f444adbb327c25bfcd80ee"
  case keysStale = "22e266bf0cee4d648a3736fe96747230"
  case keysGone = "fd46be8da2564e18a388feb1e70a1e79"
  case webhookLeftAlone = "749d60c6c5104492aed9a02edc6e7ba2"

  /// The message, as it is logged.
  public var message: StaticString {
    switch self {
    case .ready: "ready"
    case .stopping: "stopping"
    case .stopped: "stopped"
    case .cannotStart: "cannot start"
    case .cannotListen: "cannot listen"
    case .reloaded: "reloaded"
    case .reloadProblem: "reload"
    case .workerReady: "worker ready"
    case .workerDied: "worker died"
    case .workerStopped: "worker stopped"
    case .workerMissedWatchdog: "worker missed its watchdog, aborting it"
    case .workerNotReady: "worker was not ready in time"
    case .workerNotStarted: "worker cannot be started"
    case .workerDrainTimedOut: "worker did not stop in time, killing it"
    case .workerStuck: "worker does not end although killed: it is stuck in the kernel"
    case .workerReloadUnanswered: "worker did not say READY after its reload"
    case .settingsRefused: "wrong setting; the old ones stay"
    case .notAlive: "not alive: the watchdog is not fed"
    case .logNotTaking: "the event log refuses events"
    case .logTakesAgain: "the event log takes events again"
    case .logRewound: "the event log was rewound: a gateway has seen more than it holds"
    case .clockJumped: "the wall clock jumped"
    case .presenceNotWritten:
      "the presence registry cannot be written: it is tried again until it can, and who is here is known meanwhile"
    case .linkLost: "link to scheduler lost"
    case .keysStale: "issuer's keys cannot be fetched; the last ones are used"
    case .keysGone: "issuer's keys cannot be fetched; its tokens cannot be checked"
    case .webhookLeftAlone: "membership webhook is left alone for a while"
    }
  }

  /// The number of `message`, if it has one.
  static func of(_ message: String) -> MessageID? { byMessage[message] }

  private static let byMessage = Dictionary(uniqueKeysWithValues: allCases.map { ("\($0.message)", $0) })
}
