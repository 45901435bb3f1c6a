// The emulator telegram-test-api, unmodified, on the port that is named; it says so when it listens.
const TelegramServer = require("telegram-test-api");
const port = Number(process.argv[2]);
new TelegramServer({ host: "127.0.0.1", port, storeTimeout: 300 }).start().then(() => console.log("listening"));
