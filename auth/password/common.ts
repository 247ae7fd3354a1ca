/**
 * Well-known passwords, folded (see {@link foldPassword}): a compact list of the ones that head every
 * published count, as stems. Digits and signs at the end are cut before the look-up, so `password` covers
 * `Password123!` and `p@ssw0rd1`.
 *
 * This is a net with wide meshes, not a breach corpus: `docs/architecture/security.md` says so.
 *
 * @module
 */

const STEMS = `
password passwort passord passwd pass pasword motdepasse contrasena contrasenia senha parola haslo
wachtwoord salasana heslo sifre parolamea mypassword mypass newpassword oldpassword yourpassword
thepassword ourpassword password1password passwordpassword passpass secret secrets topsecret mysecret
supersecret geheim geheimnis segredo segreto changeme changeit changethis letmein letmeinnow letmeinplease
openup opensesame sesame welcome welcometo welcomeback willkommen bienvenue bienvenido benvenuto hello
hellohello helloworld hellokitty hallo hallohallo bonjour hola ciao admin administrator administrador
adminadmin superadmin sysadmin root rootroot toor superuser user username users guest guestguest test
testtest testing tester testpass testuser demo demodemo default temp temporary temppass tmp example sample
login loginlogin logmein signin signup access accessdenied account master masterkey system server
database mysql postgres oracle cisco linux ubuntu windows microsoft apple google facebook twitter
instagram linkedin youtube yahoo hotmail gmail amazon android iphone samsung nokia dell lenovo toshiba
computer internet network office company business manager qwerty qwertyui qwertyuiop qwert qwertz
qwertzui qwertzuiop azerty azertyui azertyuiop asdf asdfgh asdfghj asdfghjk asdfghjkl asdfasdf asdasd
asdasdasd zxcvbn zxcvbnm zxcvzxcv zxczxc qweqwe qweasd qweasdzxc qazwsx qazwsxedc qazxsw wsxedc
qwaszx zaqwsx zaqxsw poiuytrewq lkjhgfdsa mnbvcxz iuytrewq abcdef abcdefg abcdefgh abcabc
abcdabcd aabbcc abc abcd aaaa bbbb asd qwe zxc qaz iloveyou iloveu iloveme iloveher ilovehim
iloveyouso loveyou loveme lovelove lover lovers lovely love truelove mylove myself babygirl baby
babyboy babe sweetheart sweetie sweet honey darling princess prince queen king kingdom angel angels
angela angelina beautiful pretty cutie handsome sexy sexygirl hottie dragon dragons dragonball monkey
monkeys tiger tigers lion lions eagle eagles falcon falcons panther panthers bear bears wolf wolves wolfpack
bulldog bulldogs cowboy cowboys dolphin dolphins butterfly ladybug kitty kitten pussycat puppy doggie doggy
buster bailey buddy charlie lucky max maggie molly rocky shadow smokey snoopy snowball sparky spike
tinkerbell whiskers ginger pepper peppers cookie cookies chocolate cheese banana orange apples strawberry
cherry peanut pumpkin coffee whiskey vodka sunshine sunflower summer winter autumn spring rainbow
moonlight starlight stars star starwars startrek skywalker lukeskywalker darthvader yoda jedi chewbacca matrix
neo trinity morpheus gandalf frodo hobbit mordor batman superman spiderman ironman hulk thor
wolverine deadpool joker harley pokemon pikachu naruto sasuke goku vegeta sailormoon mickey minnie
mickeymouse donald donaldduck goofy pluto simpson homer bart football soccer baseball basketball softball
hockey volleyball tennis golf golfer golfing cricket rugby swimming skate skateboard snowboard liverpool
arsenal chelsea chelseafc manchester manutd manunited barcelona realmadrid juventus milan inter benfica
porto ajax bayern dortmund schalke yankees lakers redsox steelers packers raiders giants michael michelle
michaeljordan jordan jordans jessica jennifer jasmine joshua justin jason james jack jackson john johnny jonathan
joseph andrew andrea anthony ashley amanda alexander alexandra alexis benjamin brandon brittany chris
christian christina christine christopher daniel daniela danielle david diamond dennis elizabeth emily
eric fernando francisco gabriel gabriela george hannah heather hunter isabella jeremy julian karina
katherine kevin kimberly lauren linda maria marina martin mary matthew melissa mercedes natalie natasha
nathan nicholas nicole oliver olivia patricia patrick peter rachel rebecca richard robert ronaldo messi
samantha sandra sarah scott sebastian sophie stephanie steven taylor thomas tiffany tyler vanessa
veronica victor victoria vincent virginia whitney william zachary freedom forever friend friends friendship
family mother father mom mommy daddy daughter brother sister grandma children heaven jesus jesuschrist christ
god godisgood blessed bless faith hope grace church bible angeleyes killer killers hacker hackers hacked
hackme ninja ninjas pirate samurai warrior assassin sniper soldier marine army navy police phoenix mustang
ferrari porsche corvette camaro mercedesbenz bmw toyota honda yamaha suzuki kawasaki harleydavidson
ducati trustno trustnoone nothing something whatever anything everything nobody somebody whatsup blahblah blah
blink metallica nirvana slipknot eminem tupac beatles elvis madonna britney rihanna shakira beyonce
bigdaddy bigboy badboy badgirl biteme fuckyou fuckoff fuckme fuck asshole bitch bullshit shit pussy
dick suckit playboy player players gamer gaming games minecraft fortnite roblox counterstrike starcraft
warcraft diablo zelda mario nintendo playstation xbox sonic halo thunder lightning hurricane silver golden
gold purple yellow green blue red black white pink flower flowers rose roses daisy lily violet garden
summertime holiday vacation paradise beach ocean island america american england london paris berlin
germany france italia espana brasil mexico canada australia india pakistan russia moscow china japan tokyo
newyork texas florida california chicago boston dallas denver phoenixaz lasvegas hollywood monday tuesday
wednesday thursday friday saturday sunday january february march april june july august september october
november december christmas halloween birthday happy happyday happiness smile smiley laugh peace
peaceout music guitar dancer dancing singer drummer piano trumpet teacher student school college
university doctor nurse lawyer money dollar dollars million millionaire rich poker casino lottery winner
success champion champions legend genius awesome amazing perfect cool coolio wonderful fantastic
incredible unknown stranger midnight daylight sunset sunrise spirit ghost vampire zombie monster devil
lucifer satan demon hell 1qaz2wsx 1qaz2wsx3edc 1q2w3e4r 1q2w3e4r5t q1w2e3r4 1qazxsw2 zaq12wsx 123qwe
123qweasd qwe123 abc123 a1b2c3d4 1a2b3c4d asd123 pass1234word correcthorsebatterystaple
`;

const STEM_SET: ReadonlySet<string> = new Set(STEMS.trim().split(/\s+/));

const LOOKALIKES: Readonly<Record<string, string>> = {
  "@": "a",
  "4": "a",
  "3": "e",
  "1": "i",
  "!": "i",
  "0": "o",
  "$": "s",
  "5": "s",
  "7": "t",
};

/** Lower case, with the usual look-alikes turned back into letters. */
export function foldPassword(text: string): string {
  return [...text.toLowerCase()].map((char) => LOOKALIKES[char] ?? char).join("");
}

/** True where the password is a well-known one with at most five digits or signs around it. */
export function isCommonPassword(password: string): boolean {
  const lower = password.toLowerCase();
  const trimmed = lower.replace(/^[^\p{L}]{0,5}/u, "").replace(/[^\p{L}]{0,5}$/u, "");
  // Cut before folding: the `1` of `dragon1` is a digit, the `0` of `dr4g0n` is a letter.
  for (const candidate of [lower, trimmed]) {
    if (STEM_SET.has(candidate) || STEM_SET.has(foldPassword(candidate))) return true;
  }
  // A trailing look-alike can be either (`pa$$`, `pas$$1`): try every cut of up to five signs.
  for (let cut = 1; cut <= 5 && cut < lower.length; cut++) {
    if (/\p{L}/u.test(lower.slice(-cut))) break;
    if (STEM_SET.has(foldPassword(lower.slice(0, -cut)))) return true;
  }
  return false;
}
