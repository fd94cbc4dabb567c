import http from 'k6/http';
import { check, group, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import { Trend } from 'k6/metrics';
import { randomIntBetween } from 'https://jslib.k6.io/k6-utils/1.4.0/index.js';

const BASE = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const orders = new Trend('orders');
const users = new SharedArray('users', () => JSON.parse(open('./members.json')));
const cities = ['Graz', 'Porto'];

export const options = {
  discardResponseBodies: false,
  scenarios: {
    browse: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        { duration: '30s', target: 20 },
        { duration: '2m', target: 20 },
      ],
      gracefulRampDown: '0s',
    },
    stock: {
      executor: 'constant-arrival-rate',
      rate: 120,
      timeUnit: '1m',
      duration: '90s',
      startTime: '30s',
      preAllocatedVUs: 10,
      exec: 'stock',
      env: { KIND: 'book' },
    },
  },
  thresholds: {
    http_req_failed: ['rate<0.01'],
    http_req_duration: ['p(95)<500', { threshold: 'p(99)<1500', abortOnFail: true, delayAbortEval: '10s' }],
    'http_req_duration{name:login}': ['avg<200'],
    'http_req_duration{group:::shopping}': ['med < 300'],
    orders: ['p(95)<100'],
  },
  insecureSkipTLSVerify: true,
};

export function setup() {
  const res = http.post(`${BASE}/session`, JSON.stringify({ user: 'ada', password: 'hush-literal' }), {
    headers: { 'Content-Type': 'application/json' },
  });
  return { token: res.json('auth.token') };
}

function headers(token) {
  return { Authorization: `Bearer ${token}`, Accept: 'application/json' };
}

export default function (data) {
  const user = users[Math.floor(Math.random() * users.length)];
  const login = http.post(
    BASE + '/login',
    { email: user.email, password: 'hush-form' },
    { headers: headers(data.token), tags: { name: 'login', kind: 'write' } },
  );
  check(login, {
    'status is 200': (r) => r.status === 200,
    'has a cart': (r) => r.body.includes('cart') && r.headers['X-Trace'] !== undefined,
    'is json': (r) => r.headers['Content-Type'].includes('json'),
    'is quick': (r) => r.timings.duration < 300,
  });
  const cart = login.json().carts[0].id;
  sleep(1);

  group('shopping', () => {
    for (let i = 0; i < 3; i++) {
      http.get(`${BASE}/product/${randomIntBetween(1, 200)}?city=${cities[Math.floor(Math.random() * cities.length)]}`);
      sleep(randomIntBetween(1, 3));
    }
    const responses = http.batch([
      ['GET', `${BASE}/offers`],
      { method: 'POST', url: `${BASE}/seen`, body: JSON.stringify({ cart: cart, n: 2 }) },
    ]);
    check(responses[0], { ok: (r) => [200, 304].includes(r.status) });
  });

  if (Math.random() < 0.3) {
    const res = http.put(`${BASE}/order/${cart}`, JSON.stringify({ gift: true, note: 'a "b"' }), {
      headers: headers(data.token),
      timeout: '5s',
    });
    if (!check(res, { created: (r) => r.status >= 200 && r.status < 300 })) {
      fail('no order');
    }
    orders.add(res.timings.duration);
  } else {
    http.del(`${BASE}/cart/${cart}`);
  }

  const answer = compute(cart);
  if (answer > 3) {
    http.get(`${BASE}/answer?a=${answer}`);
  }
  http.get('https://stats.example/hit');
}

export function stock() {
  http.get(`${BASE}/stock?kind=${__ENV.KIND}&id=${__ITER % 10}`);
}

export function teardown(data) {
  http.del(`${BASE}/session`, null, { headers: headers(data.token) });
}
