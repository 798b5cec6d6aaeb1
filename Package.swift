// swift-tools-version: 6.2
import PackageDescription

// Arrows point down only: avalo -> Supervisor | workers | tools -> Worker -> Link, System -> Wire, Metrics -> Core.
// Workers never import each other; the supervisor imports no domain. `HouseTests` holds this picture.

let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let jwt = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let web = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")

let package = Package(
  name: "avalo-realtime",
  // The client's; the rest is for Linux.
  platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .visionOS(.v2)],
  products: [
    // All programs in one file (docs/decisions/0011-one-file-many-programs.md). Which they are stands in Program.swift.
    .executable(name: "avalo", targets: ["avalo"]),
    .library(name: "AvaloClient", targets: ["AvaloClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    // C at the edges: names Swift cannot import, and the parts that must run between fork and exec.
    .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .target(name: "CAvalo", cSettings: [.define("_GNU_SOURCE")]),

    // Values and codecs: no I/O.
    .target(name: "AvaloCore"),
    .target(name: "AvaloWire", dependencies: ["AvaloCore"]),

    // The machine: service protocols, journal, metrics, links.
    .target(name: "AvaloMetrics", dependencies: [metrics]),
    .target(
      name: "AvaloSystem",
      dependencies: ["CSystemd", "CAvalo", "AvaloMetrics", logging, nio, nioPosix, nioHTTP]),
    .target(name: "AvaloLink", dependencies: ["AvaloWire", "AvaloMetrics", logging, nio, nioPosix]),
    .target(name: "AvaloWorker", dependencies: ["AvaloSystem", "AvaloMetrics", logging, nio, nioPosix]),

    // Servers on the web that are asked or told something.
    .target(name: "AvaloWeb", dependencies: ["AvaloSystem", nio, web]),

    // The supervisor: knows processes, no domain.
    .target(name: "AvaloSupervisor", dependencies: ["AvaloSystem", "CAvalo", yams, logging, nio, nioPosix, nioHTTP]),

    // The data plane of the gateway, without domain.
    .target(name: "AvaloReactor", dependencies: ["CAvalo"]),

    // The log and its engines.
    .target(name: "AvaloStore", dependencies: ["AvaloCore"]),
    .target(name: "AvaloStoreSQLite", dependencies: ["AvaloStore", "AvaloCore", grdb, sqlite]),

    // The workers.
    .target(
      name: "AvaloGateway",
      dependencies: [
        "AvaloWorker", "AvaloReactor", "AvaloLink", "AvaloWeb", "AvaloSystem", "AvaloMetrics", "AvaloCore", "AvaloWire",
        jwt, crypto, nio, nioPosix, nioHTTP, nioSSL,
      ]),
    .target(
      name: "AvaloScheduler",
      dependencies: [
        "AvaloWorker", "AvaloStore", "AvaloStoreSQLite", "AvaloSystem", "AvaloLink", "AvaloMetrics", "AvaloCore",
        "AvaloWire", logging, nio, nioPosix,
      ]),
    .target(
      name: "AvaloPresence",
      dependencies: [
        "AvaloWorker", "AvaloLink", "AvaloMetrics", "AvaloSystem", "AvaloCore", "AvaloWire", grdb, logging, nio,
      ]),

    // A plugin: what it uses, any other may use.
    .target(
      name: "AvaloWebhook",
      dependencies: [
        "AvaloWorker", "AvaloLink", "AvaloWeb", "AvaloMetrics", "AvaloSystem", "AvaloCore", "AvaloWire", crypto,
        logging,
        nio,
      ]),

    // What became of an event, for who asks the control socket.
    .target(name: "AvaloTrace", dependencies: ["AvaloCore"]),

    // A page for operators, whose files are in the program.
    .target(
      name: "AvaloConsole",
      dependencies: ["AvaloWorker", "AvaloTrace", "AvaloMetrics", "AvaloSystem", "AvaloCore", crypto, logging, nio],
      resources: [
        .embedInCode("Page/index.html"), .embedInCode("Page/console.css"), .embedInCode("Page/console.mjs"),
        .embedInCode("Page/ask.mjs"), .embedInCode("Page/chart.mjs"), .embedInCode("Page/elements.mjs"),
        .embedInCode("Page/overview.mjs"), .embedInCode("Page/search.mjs"),
        .embedInCode("Page/searches.mjs"), .embedInCode("Page/trace.mjs"),
      ]),

    // A client, and the keys a development set-up needs: for the tools and the tests.
    .target(name: "AvaloClient", dependencies: ["AvaloCore", nio, nioPosix, nioHTTP, nioSSL, nioWebSocket]),
    .target(name: "AvaloKeys", dependencies: ["AvaloCore", crypto]),

    // The tools.
    .target(
      name: "avaloctl",
      dependencies: ["AvaloClient", "AvaloTrace", "AvaloKeys", "AvaloCore", "AvaloSystem", "CAvalo", arguments, crypto]),
    .target(
      name: "avalo-bench", dependencies: ["AvaloClient", "AvaloKeys", "AvaloCore", "CAvalo", arguments, histogram]),

    // The program: what it does depends on the name it is called by.
    .executableTarget(
      name: "avalo",
      dependencies: [
        "AvaloSupervisor", "AvaloWorker", "AvaloGateway", "AvaloPresence", "AvaloScheduler", "AvaloWebhook",
        "AvaloConsole", "avaloctl", "avalo-bench", arguments,
      ]),

    // Tests mirror the sources; ProcessTests run the real executables.
    .target(
      name: "AvaloTesting",
      dependencies: [
        "AvaloClient", "AvaloKeys", "AvaloReactor", "AvaloCore", "CAvalo", nio, nioPosix, nioTLS, nioSSL,
      ],
      path: "Tests/AvaloTesting"),
    .testTarget(name: "AvaloCoreTests", dependencies: ["AvaloCore"]),
    .testTarget(name: "AvaloWireTests", dependencies: ["AvaloWire"]),
    .testTarget(name: "AvaloMetricsTests", dependencies: ["AvaloMetrics", "AvaloTesting"]),
    .testTarget(name: "AvaloSystemTests", dependencies: ["AvaloSystem", "AvaloTesting"]),
    .testTarget(name: "AvaloLinkTests", dependencies: ["AvaloLink", "AvaloTesting"]),
    .executableTarget(
      name: "avalo-test-worker", dependencies: ["AvaloWorker", "AvaloSystem"], path: "Tests/avalo-test-worker"),
    // The conformance suite's peer (`make conformance`).
    .executableTarget(name: "avalo-echo", dependencies: ["AvaloReactor"], path: "Tests/avalo-echo"),
    .testTarget(name: "AvaloWorkerTests", dependencies: ["AvaloWorker", "AvaloTesting", "avalo-test-worker"]),
    .testTarget(name: "AvaloSupervisorTests", dependencies: ["AvaloSupervisor", "AvaloTesting"]),
    .testTarget(name: "AvaloReactorTests", dependencies: ["AvaloReactor", "AvaloTesting"]),
    .testTarget(name: "AvaloStoreTests", dependencies: ["AvaloStore", "AvaloStoreSQLite", "AvaloTesting"]),
    .testTarget(
      name: "AvaloSchedulerTests",
      dependencies: [
        "AvaloScheduler", "AvaloStore", "AvaloStoreSQLite", "AvaloLink", "AvaloWire", "AvaloMetrics", "AvaloSystem",
        "AvaloCore", "AvaloTesting", "avalo", logging, nio, nioPosix,
      ]),
    .testTarget(
      name: "AvaloPresenceTests", dependencies: ["AvaloPresence", "AvaloLink", "AvaloTesting", "avalo", grdb]),
    .testTarget(name: "AvaloWebTests", dependencies: ["AvaloWeb", "AvaloSystem", logging, nioPosix]),
    .testTarget(
      name: "AvaloWebhookTests",
      dependencies: [
        "AvaloWebhook", "AvaloLink", "AvaloWeb", "AvaloWire", "AvaloSystem", "AvaloCore", "AvaloTesting", "avalo",
        logging,
        nio, nioPosix, nioHTTP,
      ]),
    .testTarget(
      name: "AvaloConsoleTests",
      dependencies: ["AvaloConsole", "AvaloSystem", "AvaloMetrics", "AvaloTesting", logging, nioPosix]),
    .testTarget(name: "AvaloTraceTests", dependencies: ["AvaloTrace", "AvaloCore"]),
    .testTarget(
      name: "AvaloGatewayTests",
      dependencies: [
        "AvaloGateway", "AvaloKeys", "AvaloLink", "AvaloWeb", "AvaloTesting", jwt, crypto, yams, nio, nioPosix, nioHTTP,
        nioSSL,
      ]),
    .testTarget(
      name: "AvaloToolTests",
      dependencies: [
        "AvaloClient", "AvaloKeys", "AvaloTesting", "avaloctl", "avalo-bench", "avalo", nio, nioPosix, nioHTTP,
        nioWebSocket,
        jwt,
        arguments,
      ]),
    .testTarget(
      name: "ProcessTests",
      dependencies: [
        "AvaloTesting", "AvaloClient", "AvaloKeys", "AvaloSystem", "AvaloCore", "avalo", jwt, crypto, nioPosix, nioSSL,
      ]),
    .testTarget(
      name: "HouseTests",
      dependencies: [
        "AvaloTesting", "AvaloCore", "AvaloSystem", "AvaloGateway", "AvaloScheduler", "AvaloPresence",
        "AvaloSupervisor", "AvaloWebhook", "AvaloConsole",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
